"""Processes that stand still while a test changes what they, or others, will find."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from jobs.processes import identity
from jobs.processes.identity import Identity
from jobs.store.state_dir import StateDir
from ktclient.records import access
from support.patience import HANG_SECONDS

LOOK_SECONDS = 0.01


def stop(state: StateDir, process: Identity) -> None:
    """SIGSTOP, between two transactions: a process that stands still in one keeps the database
    locked, and everybody else out of it."""
    end = time.monotonic() + HANG_SECONDS
    while True:
        os.kill(process.pid, signal.SIGSTOP)
        while not identity.is_stopped(process):
            assert time.monotonic() < end, f"process {process.pid} does not stop"
            time.sleep(LOOK_SECONDS)
        if not _is_locked(state):
            return
        assert time.monotonic() < end, "the database stays locked"
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(LOOK_SECONDS)


def _is_locked(state: StateDir) -> bool:
    with closing(sqlite3.connect(state.database, timeout=0, isolation_level=None)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
    return False


@contextmanager
def runner_stands_still(state: StateDir) -> Iterator[None]:
    """A live runner that starts no worker meanwhile."""
    access.ensure_runner(state)
    runner = identity.holder(state.runner_lock)
    assert runner is not None
    stop(state, runner)
    try:
        yield
    finally:
        os.kill(runner.pid, signal.SIGCONT)
