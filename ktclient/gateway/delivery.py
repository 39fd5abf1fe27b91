"""What happens when an answer was delivered, and the deletion of what must not be kept."""

from __future__ import annotations

import asyncio
import logging

from jobs.errors import KtjobError
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


async def note_delivered(gateway: Gateway, job_id: str) -> None:
    """Record that a client has the whole answer, and delete what is not to be stored."""
    request = await gateway.threads.store(_note, job_id)
    if request:
        await gateway.threads.check(sweep, gateway.settings.state)


def _note(store: HttpStore, job_id: str) -> bool:
    store.note_delivered(job_id)
    found = store.request(job_id)
    return found is not None and not found.is_stored


def sweep(state: StateDir) -> None:
    """Delete jobs that were deleted over HTTP and have ended, and those that are not to be stored
    and were delivered. Logs what cannot be deleted now; a later sweep tries again."""
    try:
        with HttpStore.open_existing(state) as store:
            ids = store.removable_requests(UNDELIVERED_SECONDS)
        for job_id in ids:
            garbage.delete_job(state, job_id)
    except KtjobError as error:
        _LOG.warning("jobs that are not to be kept could not be deleted for now: %s", error)
