"""Adopting a copy: the jobs in a copied or moved state directory run here from now on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import IllegalTransition
from jobs.model import Job, Status
from jobs.processes import identity
from jobs.store.files import place
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

_ENDED = Status.FINISHED


@dataclass(frozen=True)
class Adopted:
    """What a copy holds that runs here from now on."""

    original: str
    """The path of the database that it was copied from."""
    queued: int
    running: int
    """Jobs that were running when the copy was made; each gets its next attempt, or is LOST."""


def adopt(state: StateDir, *, although_original: bool = False) -> Adopted | None:
    """Make this store the place where its jobs run. None where it is no copy: nothing is done.

    Raises `IllegalTransition` while a job runs from the original, and, unless `although_original`,
    while the original is still there with jobs that have not ended: both would send their requests.
    Raises `StoreUnusable`.
    """
    with Store.open_to_adopt(state) as store:
        if store.original is None:
            return None
        running = store.in_status(Status.RUNNING)
        _refuse_running(store, running)
        if not although_original:
            _refuse_unfinished(store.original, state)
        original = store.original.path
        queued = len(store.in_status(Status.QUEUED))
        store.settle(is_new=True)
    return Adopted(original, queued, len(running))


def _refuse_running(store: Store, running: list[Job]) -> None:
    for job in running:
        attempt = store.attempt(job)
        if attempt is not None and identity.is_same_process_alive(attempt.worker):
            raise IllegalTransition(
                f"job {job.id} still runs from the original, in process {attempt.worker.pid}. Wait "
                "for its end there, or cancel it there; then copy the database again"
            )


def _refuse_unfinished(original: place.Place, here: StateDir) -> None:
    if place.leads_to(original) == os.path.realpath(here.database):
        return  # it was on another machine
    count = _unfinished(original)
    if count:
        jobs = "1 job that has" if count == 1 else f"{count} jobs that have"
        raise IllegalTransition(
            f"the original, {original.path}, is still there with {jobs} not ended: both would send "
            "the same requests. Cancel them there or move it away, or use --although-original"
        )


def _unfinished(original: place.Place) -> int:
    """Jobs of the original that have not ended; 0 where it is not there any more."""
    folder = StateDir(Path(original.path).parent)
    folder.require_in_sight()
    there = Store.glance(folder)
    if there is None:
        return 0
    with there:
        recorded = there.recorded_place()
        if recorded is None or recorded.store != original.store:
            return 0  # another queue has its place
        return sum(count for status, count in there.counts().items() if status is not _ENDED)
