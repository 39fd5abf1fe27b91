"""Open the store after recovery: dead workers are found, and queued jobs get a runner.

The runner does both by itself; this is for the case that the runner is dead too.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobs.errors import (
    DetachFailed,
    KtjobError,
    NothingStored,
    NotYours,
    StoreCopied,
    StoreUnusable,
)
from jobs.model import Status
from jobs.store import diagnosis, outage
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import recovery
from jobs.worker.overdue import OverdueCancels

if TYPE_CHECKING:
    from jobs.store.state_dir import StateDir

AWAY_SECONDS = 60.0
"""How long a waiting command looks again for a state directory that is out of sight."""
WORK_ENTRY = "ktclient.work:perform"
"""The function with which the runner performs jobs."""
_overdue = OverdueCancels()
"""For commands that wait, where the runner is stopped or dead."""


def ensure_runner(state: StateDir) -> None:
    """Make sure that a runner is alive. If none can be started now, log a warning and continue: the
    jobs are safe, and a caller that sees an error would submit again."""
    from jobs.runner import start

    try:
        start.ensure_runner(state, WORK_ENTRY)
    except (DetachFailed, StoreUnusable) as error:
        _warn(
            "no runner could be started; jobs stay queued, and the next ktjob command retries. "
            f"{error}"
        )


@contextlib.contextmanager
def open_recovered(state: StateDir, wanted: str = "") -> Iterator[Store]:
    """An open store in which each RUNNING job really runs, with a runner if jobs wait.

    `wanted` is the id that the caller looks for. Raises `NothingStored` if nothing was ever stored:
    reading creates nothing, even if the state directory is removed meanwhile. Raises
    `StoreUnusable`.
    """
    if not state.is_stored():
        what = f"job {wanted!r}" if wanted else "job"
        raise NothingStored(
            f"there is no {what}: the job database {state.database} is created by your first submit"
        )
    with Store.open_to_read(state) as store:
        recover_and_wake(store, state)
        yield store


def recover_and_wake(store: Store, state: StateDir) -> None:
    """Recover an open store, and make sure that a runner is alive if it is needed. In a copy of a
    store nothing is started and nothing changed: a warning says so."""
    if store.original is not None:
        _warn_once(str(diagnosis.copied(state.database, store.original.path)))
        return
    _overdue.look(store, recovery.recover(store, state))
    if not (store.has(Status.QUEUED) or store.owes_tellings()):
        return
    from jobs.runner import start

    if not start.is_runner_alive(state):
        ensure_runner(state)


def is_away(error: KtjobError) -> bool:
    """Whether a waiting command looks again after this error: the store cannot be used for now, or
    its folder is out of sight."""
    if isinstance(error, StoreUnusable):
        return outage.is_temporary(error) and not isinstance(error, (StoreCopied, NotYours))
    return isinstance(error, NothingStored)


class Patience:
    """How long a command that goes on looking bears a store that cannot be used: not before it was
    seen once, then `AWAY_SECONDS` in a row."""

    def __init__(self) -> None:
        self._has_seen = False
        self._failing_since: float | None = None

    def succeeded(self) -> None:
        self._has_seen, self._failing_since = True, None

    def failed(self, error: KtjobError) -> None:
        """Raise the error, if it is one that does not pass, or has lasted too long."""
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        is_over = now - self._failing_since > AWAY_SECONDS
        if is_over or not self._has_seen or not is_away(error):
            raise error


@functools.lru_cache(maxsize=8)
def _warn_once(message: str) -> None:
    _warn(message)


def _warn(message: str) -> None:
    import logging  # shown on stderr unless the program has set up logging otherwise

    logging.getLogger("ktjob").warning(message)


def require_running_here(state: StateDir) -> None:
    """Raise `StoreCopied` in a copy of a store: a job there never ends, so waiting is of no use."""
    Store.open_existing(state).close()


@contextlib.contextmanager
def open_readonly(state: StateDir) -> Iterator[Store | None]:
    """An open store for reading; None if there is none that this version can read unmigrated.
    Reading raises `StoreUnusable` immediately if another process has locked it."""
    store = Store.glance(state)
    try:
        yield store
    finally:
        if store is not None:
            store.close()
