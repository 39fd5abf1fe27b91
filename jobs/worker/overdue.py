"""Cancels that a worker does not act on: it is stopped, or computes in C, where no signal handler
and no thread of its own can run.

A worker sees a cancel request at its next heartbeat and ends within seconds. One that does not is
continued (SIGCONT), and killed if that does not help either; then it is recovered like any dead
worker, and its connection closes with it. Before each step an event is written. So a worker that
only waits for the store, with text in memory, is not killed: it could write before that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.errors import StoreUnusable
from jobs.model import Attempt, Identity, Job

if TYPE_CHECKING:
    from jobs.store.store import Store

NOTICE_SECONDS = 10.0
"""From the cancel request to the first step. Usually a cancel takes at most seven: an abort that
is not answered, and a server that does not become idle."""
KILL_SECONDS = 20.0
"""From there to the kill."""
OVERDUE, KILLED = "cancel overdue", "worker killed"
"""The kinds of the events."""
_KEPT = 1000
"""How many waits are remembered: the newest, of ended jobs too."""


@dataclass
class _Wait:
    since: float
    is_overdue: bool = False


class OverdueCancels:
    """What one process has seen of cancel requests: it counts its own seconds, because the clock
    may be set. Several processes may do this for one job: the runner, and commands that wait."""

    def __init__(self) -> None:
        self._waits: dict[str, _Wait] = {}

    def look(self, store: Store, alive: Sequence[Job]) -> None:
        """Take the next step for each running job whose time has come. Call it every few seconds,
        with the jobs whose workers live."""
        for job in alive:
            if job.cancel_requested_at is None or _has_open_parts(store, job):
                continue
            attempt = store.attempt(job)
            if attempt is not None:
                wait = self._waits.setdefault(attempt.rid, _Wait(time.monotonic()))
                with contextlib.suppress(StoreUnusable):  # the same step at the next look
                    _take_step(store, attempt, wait)
        while len(self._waits) > _KEPT:
            self._waits.pop(next(iter(self._waits)), None)


def was_killed(store: Store, attempt: Attempt) -> bool:
    """Whether this attempt's worker was killed here."""
    return any(
        event.kind == KILLED and event.attempt == attempt.number
        for event in store.events(attempt.job_id)
    )


def _take_step(store: Store, attempt: Attempt, wait: _Wait) -> None:
    from jobs.processes import identity  # most commands see no cancel

    now, worker = time.monotonic(), attempt.worker
    if now - wait.since < (KILL_SECONDS if wait.is_overdue else NOTICE_SECONDS):
        return
    if not identity.is_same_process_alive(worker):  # it is in another container
        return
    kind = KILLED if wait.is_overdue else OVERDUE
    store.note(attempt.job_id, attempt.number, kind, {"pid": worker.pid})
    if wait.is_overdue:
        _kill(worker)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(worker.pid, signal.SIGCONT)
    wait.since, wait.is_overdue = now, True


def _kill(worker: Identity) -> None:
    """With what it has started in its group, such as pip. A server is in a group of its own."""
    from jobs.processes import identity

    with contextlib.suppress(ProcessLookupError, PermissionError):
        if identity.is_same_process_alive(worker):  # each leads its group (`detach.fork_child`)
            os.killpg(worker.pid, signal.SIGKILL)


def _has_open_parts(store: Store, job: Job) -> bool:
    """A conductor ends after its parts: they were cancelled too, and have their own workers."""
    tally = store.tally(job.id)
    return tally.ended < tally.total
