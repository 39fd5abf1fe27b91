"""The runner's side of shared workers: which of them exist, and which jobs each was given."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from jobs.runner.runner_lock import log
from jobs.worker.shared import LEAVING

MOST_JOBS = 32
"""Of one shared worker at a time. They compute in turns, so more would wait for one another."""
IDLE_SECONDS = 30.0
"""How long one without jobs is kept for the next."""
_LONGEST_ID = 256

Fork = Callable[[socket.socket], int]
"""Forks a shared worker with its end of a line; the pid. Raises `OSError`."""


@dataclass
class _Worker:
    pid: int
    line: socket.socket
    jobs: set[str] = field(default_factory=set)
    is_leaving: bool = False
    idle_since: float = field(default_factory=time.monotonic)


class SharedWorkers:
    """The shared workers of one runner."""

    def __init__(self, fork: Fork) -> None:
        self._fork = fork
        self._workers: dict[int, _Worker] = {}
        self._new_line: socket.socket | None = None
        """Our end of the line of a worker that is being forked."""

    @property
    def jobs(self) -> set[str]:
        """Ids of the jobs that were given and have not ended."""
        return {job_id for one in self._workers.values() for job_id in one.jobs}

    def __contains__(self, pid: int) -> bool:
        return pid in self._workers

    def files(self) -> Iterator[int]:
        """The descriptors that become readable when a job has ended."""
        return (one.line.fileno() for one in self._workers.values() if one.line.fileno() >= 0)

    def give(self, job_id: str) -> None:
        """Give a job to a worker that has room, or to a new one. Logs if none can be made now: the
        job is still queued then, and chosen again."""
        for one in self._workers.values():
            if not one.is_leaving and len(one.jobs) < MOST_JOBS and self._sent(one, job_id):
                return
        try:
            self._sent(self._new(), job_id)
        except OSError as error:
            log(f"cannot fork a worker for job {job_id}, retrying: {error}")

    def _sent(self, one: _Worker, job_id: str) -> bool:
        try:
            one.line.send(job_id.encode())
        except OSError:  # it has ended, or does not read
            one.is_leaving = True
            return False
        one.jobs.add(job_id)
        log(f"worker {one.pid} takes {job_id} beside {len(one.jobs) - 1} others")
        return True

    def _new(self) -> _Worker:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._new_line = ours
        with theirs:
            try:
                pid = self._fork(theirs)
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        one = self._workers[pid] = _Worker(pid, ours)
        return one

    def hear(self) -> None:
        """Take note of what has ended, and let workers go that have had nothing to do."""
        for one in self._workers.values():
            self._hear(one)
            if not one.jobs and time.monotonic() - one.idle_since > IDLE_SECONDS:
                self._let_go(one)

    def _hear(self, one: _Worker) -> None:
        with contextlib.suppress(OSError):  # nothing more for now, or it has ended
            while message := one.line.recv(_LONGEST_ID):
                if message == LEAVING:
                    one.is_leaving = True
                one.jobs.discard(message.decode())
                one.idle_since = time.monotonic()

    def _let_go(self, one: _Worker) -> None:
        """It ends after its jobs."""
        one.is_leaving = True
        one.line.close()

    def ended(self, pid: int) -> set[str]:
        """Forget a worker that has ended. Returns the jobs that it had not reported."""
        one = self._workers.pop(pid)
        with contextlib.suppress(OSError):
            self._hear(one)
        one.line.close()
        return one.jobs

    def drop(self) -> None:
        """In a child of the runner: close what belongs to the runner, so that its death is seen."""
        for one in self._workers.values():
            one.line.close()
        if self._new_line is not None:
            self._new_line.close()
