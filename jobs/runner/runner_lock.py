"""The lock that makes a process the only runner of a state directory."""

from __future__ import annotations

import contextlib
import os
import sys

from jobs import clock
from jobs.errors import DetachFailed, StoreUnusable
from jobs.model import Status
from jobs.processes import detach, identity
from jobs.processes.code_version import LoadedCode
from jobs.runner import start
from jobs.store.database import SCHEMA_VERSION
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.upkeep import garbage

TAKEOVER_SECONDS = 1.0
"""A process that only tests the lock holds it for an instant. If it is held for this long, another
runner lives."""
OUTDATED_SECONDS = 30.0
"""How long to wait for a runner of an older version to exit, once the doorbell has woken it."""


class RunnerLock:
    """The runner lock, as one process takes and releases it."""

    def __init__(self, state: StateDir, work: str) -> None:
        self._state = state
        self._work = work
        self._lock: identity.HeldLock | None = None

    def acquire(self) -> bool:
        """Become the runner. Reports ready as soon as any runner lives, so that a submit does not
        wait for a takeover. False when another runner keeps the lock."""
        self._lock = identity.hold(self._state.runner_lock)
        if self._lock is None:
            detach.say_ready("another runner lives")  # the submitter need not wait any longer
            is_leaving = start.is_runner_outdated(self._state)
            patience = OUTDATED_SECONDS if is_leaving else TAKEOVER_SECONDS
            self._lock = identity.hold(self._state.runner_lock, patience)
        if self._lock is None:
            return False
        self._lock.sign(schema=SCHEMA_VERSION)
        log(f"runner {os.getpid()} serves {self._state.root}")
        detach.say_ready("ready")
        return True

    def hand_over(self, code: LoadedCode) -> bool:
        """Release the lock and start a runner of the newly installed code; workers keep the old
        code. False while that runner does not start, as in the middle of an installation: try
        again later."""
        assert self._lock is not None
        log(f"runner {os.getpid()} exits: a new version of ktjob was installed")
        self._lock.release()
        if not code.has_changed():  # a newer version in another place starts its own runner
            return True
        try:
            start.ensure_runner(self._state, self._work)
            return True
        except DetachFailed as error:
            log(f"retrying: {error}")
        self._lock = identity.hold(self._state.runner_lock, TAKEOVER_SECONDS)
        return self._lock is None

    def is_held(self) -> bool:
        """False once the state directory was removed: a new one there belongs to another runner."""
        assert self._lock is not None
        return self._lock.is_at(self._state.runner_lock)

    def leave_unless_needed(self) -> bool:
        """Release the lock, then check the queue once more: a submit that still saw the lock held
        has committed before that. False when there is work after all and the lock was retaken."""
        assert self._lock is not None
        self._lock.release()
        if not self._is_needed():
            with contextlib.suppress(StoreUnusable, OSError):  # the next runner does it
                garbage.checkpoint(self._state)
            return True
        self._lock = identity.hold(self._state.runner_lock, TAKEOVER_SECONDS)
        if self._lock is not None:
            self._lock.sign(schema=SCHEMA_VERSION)
        return self._lock is None

    def _is_needed(self) -> bool:
        """Whether there is work. True also when the store cannot be read: then the runner stays
        and retries."""
        try:
            with Store.open(self._state) as store:
                return store.has(Status.QUEUED) or store.owes_tellings()
        except (StoreUnusable, OSError) as error:
            log(f"retrying: {error}")
            return True

    def end(self) -> None:
        """Release the lock. A child shares the lock with its runner and must call this too."""
        assert self._lock is not None
        self._lock.release()


def log(line: str) -> None:
    with contextlib.suppress(OSError):  # the log may be on a full disk
        print(clock.now(), line, file=sys.stderr, flush=True)
