"""Being the one runner of a state directory: its lock, from taking it over to giving it up."""

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
"""A prober holds the lock for an instant; only after that long is there really a rival."""
OUTDATED_SECONDS = 30.0
"""A runner of an older version leaves when it next looks, which its doorbell makes it do."""


class RunnerLock:
    """Of one process that would be the runner."""

    def __init__(self, state: StateDir, work: str) -> None:
        self._state = state
        self._work = work
        self._lock: identity.HeldLock | None = None

    def take_over(self) -> bool:
        """Become the runner, and say so; a submitter waits for the word, not for the takeover."""
        self._lock = identity.hold(self._state.runner_lock)
        if self._lock is None:
            detach.say_ready("another runner lives")
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
        """Leave to a runner of the code that is installed now; workers go on with the old. False
        while that does not start, as in the middle of an installation: to be tried again."""
        assert self._lock is not None
        log(f"runner {os.getpid()} hands over: this program was replaced by another version")
        self._lock.release()
        if not code.has_changed():  # an older one beside a newer one: that starts its own
            return True
        try:
            start.ensure_runner(self._state, self._work)
            return True
        except DetachFailed as error:
            log(f"trying again: {error}")
        self._lock = identity.hold(self._state.runner_lock, TAKEOVER_SECONDS)
        return self._lock is None

    def is_at_home(self) -> bool:
        """False once the state directory was removed: what is made there now is another's."""
        assert self._lock is not None
        return self._lock.is_at(self._state.runner_lock)

    def leave_unless_needed(self) -> bool:
        """Give up the lock, then look once more: a submitter who still saw the lock held has
        committed before that. False when there is work after all and the lock is ours again."""
        assert self._lock is not None
        self._lock.release()
        if not self._is_needed():
            with contextlib.suppress(StoreUnusable, OSError):  # the next one to leave does it
                garbage.checkpoint(self._state)
            return True
        self._lock = identity.hold(self._state.runner_lock, TAKEOVER_SECONDS)
        if self._lock is not None:
            self._lock.sign(schema=SCHEMA_VERSION)
        return self._lock is None

    def _is_needed(self) -> bool:
        """Also when the store cannot tell: then it is looked at again and again."""
        try:
            with Store.open(self._state) as store:
                return store.has(Status.QUEUED) or store.owes_tellings()
        except (StoreUnusable, OSError) as error:
            log(f"staying: {error}")
            return True

    def end(self) -> None:
        """Let go: in a child too, which shares the lock with its runner."""
        assert self._lock is not None
        self._lock.release()


def log(line: str) -> None:
    with contextlib.suppress(OSError):  # the log may be on a full disk
        print(clock.now(), line, file=sys.stderr, flush=True)
