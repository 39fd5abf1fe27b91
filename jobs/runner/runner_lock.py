"""The lock that makes a process the only runner of a state directory."""

from __future__ import annotations

import contextlib
import os
import sys
import time

from jobs import clock
from jobs.errors import StoreUnusable
from jobs.model import Status
from jobs.processes import detach, doorbell, identity
from jobs.runner import start
from jobs.store.database import SCHEMA_VERSION
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.upkeep import garbage

TAKEOVER_SECONDS = 1.0
"""A process that only tests the lock holds it for an instant. If it is held for this long, another
runner lives."""
OUTDATED_SECONDS = 30.0
"""How long to wait for a runner that is leaving, once the doorbell has woken it."""
OFFER_SECONDS = 0.5
"""How long a runner that cannot start jobs leaves its lock free: another one that waits for it
tries every 0.02 s."""


class RunnerLock:
    """The runner lock, as one process takes and releases it."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._lock: identity.HeldLock | None = None
        self._trouble: dict[str, str] = {}
        self._is_successor = False

    def acquire(self, is_successor: bool = False) -> bool:
        """Become the runner; a successor waits until the runner that started it leaves. Reports
        ready as soon as any runner lives, so that a submit does not wait for a takeover. False when
        another runner keeps the lock."""
        self._is_successor = is_successor
        self._lock = identity.hold(self._state.runner_lock)
        if self._lock is None:
            detach.say_ready("another runner lives")  # the submitter need not wait any longer
            self._lock = self._await_lock()
        if self._lock is None:
            return False
        self._sign()
        log(f"runner {os.getpid()} serves {self._state.root}")
        detach.say_ready("ready")
        return True

    def _await_lock(self) -> identity.HeldLock | None:
        """The lock of a runner that is leaving, which each ring makes it release for a moment."""
        give_up = time.monotonic() + OUTDATED_SECONDS
        while True:
            lock = identity.hold(self._state.runner_lock, TAKEOVER_SECONDS)
            if lock is not None or time.monotonic() >= give_up or not self._is_expected():
                return lock
            doorbell.ring(self._state.doorbell)

    def _is_expected(self) -> bool:
        return self._is_successor or start.is_runner_leaving(self._state)

    def _sign(self) -> None:
        assert self._lock is not None
        notes = {start.TROUBLE: self._trouble} if self._trouble else {}
        self._lock.sign(schema=SCHEMA_VERSION, **notes)

    def report_trouble(self, reason: str) -> None:
        """Note for `ktjob status`, and for whoever could start another runner, why this one starts
        no jobs. An empty reason ends that."""
        since = self._trouble.get("since", clock.now())
        told = {"since": since, "reason": reason, "program": start.installation()}
        self._trouble = told if reason else {}
        with contextlib.suppress(OSError):  # on a full disk only the log says it
            self._sign()

    def pass_on(self, seconds: float = OFFER_SECONDS) -> bool:
        """Release the lock, to a runner that waits for it. False when none has taken it within
        these seconds: then this process holds it again."""
        assert self._lock is not None
        self._lock.release()
        give_up = time.monotonic() + seconds
        while not identity.is_held(self._state.runner_lock):
            if time.monotonic() >= give_up:
                self._lock = identity.hold(self._state.runner_lock, TAKEOVER_SECONDS)
                if self._lock is not None:
                    self._sign()
                return self._lock is None
            time.sleep(0.02)  # flock has no event
        return True

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
            self._sign()
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
