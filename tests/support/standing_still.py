"""A runner that stands still while a test changes what its next worker will find."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.processes import identity
from jobs.store.state_dir import StateDir
from ktclient.records import access


@contextmanager
def runner_stands_still(state: StateDir) -> Iterator[None]:
    """A live runner that starts no worker meanwhile."""
    access.ensure_runner(state)
    runner = identity.holder(state.runner_lock)
    assert runner is not None
    os.kill(runner.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(runner.pid, signal.SIGCONT)
