"""Reading the store so that it tells the truth: dead workers found, waiting jobs served.

The runner does both by itself; this is for when the runner is dead too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from jobs.errors import DetachFailed, NoSuchJob
from jobs.model import Status
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import recovery

WORK_ENTRY = "ktclient.work:perform"
"""What the runner performs jobs with."""


def ensure_runner(state: StateDir) -> None:
    """Make sure that a runner lives. Where none can be started now, say so and go on: the jobs are
    safe, and whoever was told of a failure would submit again."""
    try:
        start.ensure_runner(state, WORK_ENTRY)
    except DetachFailed as error:
        import logging  # shown on stderr unless the program has set up logging otherwise

        logging.getLogger("ktjob").warning(
            "no runner could be started, and jobs wait; the next ktjob command tries again. %s",
            error,
        )


@contextlib.contextmanager
def open_recovered(state: StateDir, wanted: str = "") -> Iterator[Store]:
    """An open store in which what is called RUNNING runs, and with a runner if jobs wait.

    `wanted` is the id that is looked for. Raises `NoSuchJob` where nothing was ever stored: looking
    creates nothing, also where somebody removed the state directory while we looked on.
    """
    if not state.has_database():
        what = f"job {wanted!r}" if wanted else "job"
        raise NoSuchJob(f"there is no {what}: {state.database} is made by the first one")
    with Store.open(state) as store:
        recover_and_wake(store, state)
        yield store


def recover_and_wake(store: Store, state: StateDir) -> None:
    """The same for a store that is open already."""
    recovery.recover(store, state)
    is_needed = store.has(Status.QUEUED) or store.owes_tellings()
    if is_needed and not start.is_runner_alive(state):
        ensure_runner(state)


@contextlib.contextmanager
def open_readonly(state: StateDir) -> Iterator[Store | None]:
    """An open store to read; None where there is none that this version can read as it is. Reading
    raises `StoreUnusable` at once where another process has locked it."""
    store = Store.glance(state)
    try:
        yield store
    finally:
        if store is not None:
            store.close()
