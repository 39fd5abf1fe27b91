"""The lock that makes a process the only runner of a state directory."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable

from jobs import clock
from jobs.errors import StoreUnusable
from jobs.model import Status
from jobs.processes import detach, doorbell, identity
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
        self._turn: identity.HeldLock | None = None
        self._folder = Folder(state.root)
        self._away_since: float | None = None
        self.on_moved: Callable[[StateDir], None] = lambda state: None
        """Called with the folder's new path after it was renamed."""
        self.on_retaken: Callable[[], None] = lambda: None
        """Called after the lock was taken in another file or folder of the same path."""

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
        """The lock of a runner that is leaving, which each ring makes it release for a moment. Of
        several candidates one waits: each look of a command starts one meanwhile."""
        if not self._is_successor and start.is_runner_leaving(self._state):
            self._turn = identity.hold(self._state.candidate_lock)
            if self._turn is None:
                return None
        give_up = time.monotonic() + OUTDATED_SECONDS
        while True:
            lock = identity.hold(self._state.runner_lock, TAKEOVER_SECONDS)
            if lock is not None or time.monotonic() >= give_up or not self._is_expected():
                return lock
            doorbell.ring(self._state.doorbell)

    def _is_expected(self) -> bool:
        """Also while the lock is free, which may be the moment for which a leaving runner offers
        it."""
        is_free = not identity.is_held(self._state.runner_lock)
        return is_free or self._is_successor or start.is_runner_leaving(self._state)

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
        self._release()
        give_up = time.monotonic() + seconds
        while not identity.is_held(self._state.runner_lock):
            if time.monotonic() >= give_up:
                self._lock = identity.hold(self._state.runner_lock, TAKEOVER_SECONDS)
                if self._lock is not None:
                    self._sign()
                return self._lock is None
            time.sleep(0.02)  # flock has no event
        return True

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
        self._folder.close()
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

    def leave_unless_needed(self) -> bool:
        """Release the lock, then check the queue once more: a submit that still saw the lock held
        has committed before that. False when there is work after all and the lock was retaken."""
        self._release()
        if not is_needed(self._state):
            with contextlib.suppress(StoreUnusable, OSError):  # the next runner does it
                garbage.checkpoint(self._state)
            return True
        self._lock = identity.hold(self._state.runner_lock, TAKEOVER_SECONDS)
        if self._lock is not None:
            self._sign()
        return self._lock is None

    def end(self) -> None:
        """Release the lock. A child shares the lock with its runner and must call this too."""
        self._release()
        self._folder.close()

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


def is_needed(state: StateDir) -> bool:
    """Whether there is work. True also when the store cannot be read: then the runner stays and
    retries."""
    try:
        if not state.has_database():
            return False
        with Store.open_existing(state) as store:
            return store.has(Status.QUEUED) or store.owes_tellings()
    except (StoreUnusable, OSError) as error:
        log(f"retrying: {error}")
        return True


def log(line: str) -> None:
    with contextlib.suppress(OSError):  # the log may be on a full disk
        print(clock.now(), line, file=sys.stderr, flush=True)
