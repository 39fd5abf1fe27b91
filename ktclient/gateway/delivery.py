"""What happens when an answer was delivered, and the deletion of what must not be kept."""

from __future__ import annotations

import asyncio
import logging

from jobs.errors import KtjobError, NoSuchJob
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from jobs.upkeep import garbage
from ktclient.gateway.context import Gateway

UNDELIVERED_SECONDS = 24 * 3600.0
"""How long an answer that is not to be stored waits for its client."""
_LOG = logging.getLogger("ktjob")


_noting: set[asyncio.Task[None]] = set()
"""A task that nobody holds may be collected before it ends."""


def begin(gateway: Gateway, job_id: str) -> None:
    """`note_delivered` by itself: the client has what it wanted, and may be gone already."""
    task = asyncio.create_task(note_delivered(gateway, job_id))
    _noting.add(task)
    task.add_done_callback(_ended)


def _ended(task: asyncio.Task[None]) -> None:
    _noting.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOG.warning("that an answer was delivered could not be recorded: %s", error)


_RESTS = (0.2, 1.0, 3.0, 10.0)
"""Seconds between tries to delete a job whose worker has not quite ended."""


async def note_delivered(gateway: Gateway, job_id: str) -> None:
    """Record that a client has the whole answer, and delete what is not to be stored."""
    if not await gateway.threads.store(_note, job_id):
        return
    for rest in _RESTS:
        if await gateway.threads.check(sweep, gateway.settings.state):
            return
        await asyncio.sleep(rest)


def _note(store: HttpStore, job_id: str) -> bool:
    store.note_delivered(job_id)
    found = store.request(job_id)
    return found is not None and not found.is_stored


def sweep(state: StateDir) -> bool:
    """Delete jobs that were deleted over HTTP and have ended, and those that are not to be stored
    and were delivered. False if one of them cannot be deleted now, which is logged: a later sweep
    tries again."""
    try:
        with HttpStore.open_existing(state) as store:
            ids = store.removable_requests(UNDELIVERED_SECONDS)
    except KtjobError as error:
        _log(error)
        return False
    return all([_is_deleted(state, job_id) for job_id in ids])


def _is_deleted(state: StateDir, job_id: str) -> bool:
    try:
        garbage.delete_job(state, job_id)
    except NoSuchJob:
        return True  # another sweep was first
    except KtjobError as error:
        _log(error)
        return False
    return True


def _log(error: KtjobError) -> None:
    _LOG.warning("jobs that are not to be kept could not be deleted for now: %s", error)
