"""The lock that makes a process the only runner of a state directory."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable

from jobs import clock
from jobs.errors import DetachFailed, StoreUnusable
from jobs.model import Status
from jobs.processes import detach, identity
from jobs.processes.code_version import LoadedCode
from jobs.runner import start
from jobs.store.files.open_files import Folder
from jobs.store.files.opening import SCHEMA_VERSION
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.upkeep import garbage

TAKEOVER_SECONDS = 1.0
"""A process that only tests the lock holds it for an instant. If it is held for this long, another
runner lives."""
AWAY_SECONDS = 600.0
"""How long a runner waits for a state directory that is out of sight: somebody remounts a disk, or
moves a folder and back. Later the next command starts a runner."""
DELETED_SECONDS = 30.0
"""The same for one that was deleted: `mv` to another disk deletes it here, and a link to the new
place may follow."""
OUTDATED_SECONDS = 30.0
"""How long to wait for a runner of an older version to exit, once the doorbell has woken it."""


class RunnerLock:
    """The runner lock, as one process takes and releases it."""

    def __init__(self, state: StateDir, work: str) -> None:
        self._state = state
        self._work = work
        self._lock: identity.HeldLock | None = None
        self._folder = Folder(state.root)
        self._away_since: float | None = None
        self.on_moved: Callable[[StateDir], None] = lambda state: None
        """Called with the folder's new path after it was renamed."""
        self.on_retaken: Callable[[], None] = lambda: None
        """Called after the lock was taken in another file or folder of the same path."""

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
        self._sign()
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

    def keep(self) -> bool:
        """Whether to stay the runner. Looks whether the lock file is still the locked one: it may
        have been removed, or the whole folder moved, unmounted or deleted. A folder that was
        renamed is served under its new name.

        False when another runner has the lock that is there now, or when no folder came back for
        `AWAY_SECONDS`, `DELETED_SECONDS` if it was deleted. Raises `NotYours`.
        """
        assert self._lock is not None
        if self._lock.is_at(self._state.runner_lock):
            self._away_since = None
            return True
        if self._has_moved():
            return True
        if not self._has_database():
            return self._is_awaited()
        retaken = identity.hold(self._state.runner_lock, TAKEOVER_SECONDS)
        if retaken is None:
            return False  # another runner has begun meanwhile
        log(f"{self._state.runner_lock} was removed or replaced; created it again")
        self._lock.release()
        self._lock, self._away_since = retaken, None
        self._folder = Folder(self._state.root)
        self._sign()
        self.on_retaken()
        return True

    def _has_moved(self) -> bool:
        """Whether the folder was renamed, with this lock in it: then it is served where it is
        now."""
        path = self._folder.path()
        if path is None or path == self._state.root:
            return False
        moved = StateDir(path)
        assert self._lock is not None
        if not self._lock.is_at(moved.runner_lock):
            return False
        log(f"{self._state.root} was moved to {path}")
        self._state, self._away_since = moved, None
        self.on_moved(moved)
        return True

    @property
    def is_away(self) -> bool:
        """Whether the folder is out of sight, as `keep` found it last: then nothing is opened or
        created there."""
        return self._away_since is not None

    def _has_database(self) -> bool:
        try:
            return self._state.has_database()
        except StoreUnusable:
            return False

    def _is_awaited(self) -> bool:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            log(f"{self._state.root} is not there (moved, or its disk unmounted?); looking again")
        is_deleted = self._folder.is_deleted()
        return now - self._away_since < (DELETED_SECONDS if is_deleted else AWAY_SECONDS)

    def _sign(self) -> None:
        assert self._lock is not None
        self._lock.sign(schema=SCHEMA_VERSION)

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
            if not self._state.has_database():
                return False
            with Store.open_existing(self._state) as store:
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
