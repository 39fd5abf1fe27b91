"""Jobs that are cancelled over HTTP."""

from __future__ import annotations

import asyncio
import logging

from jobs.errors import KtjobError
from jobs.model import Status
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.accept import Accepted
from ktclient.gateway.context import Gateway
from ktclient.gateway.wire.errors import ApiError
from ktclient.records import access

HEADER = "x-ktjob-cancel-on-disconnect"
"""Set to 1, a request ends with its client's connection, as OpenAI's do."""
_LOG = logging.getLogger("ktjob")
_running: set[asyncio.Task[None]] = set()
"""A task that nobody holds may be collected before it ends."""


def cancel(state: StateDir, job_id: str) -> None:
    """End a job: a queued one at once, a running one within seconds. No effect if it has ended.
    In a thread."""
    with HttpStore.open_existing(state) as store:
        job = store.request_cancel(job_id)
    if job.status is not Status.FINISHED:
        access.ensure_runner(state)  # it watches over the cancel


def client_gone(gateway: Gateway, accepting: asyncio.Task[Accepted]) -> None:
    """Cancel the job of a request whose client went and asked for that, unless another client
    waits for the same job."""
    task = asyncio.create_task(_cancel_accepted(gateway, accepting))
    _running.add(task)
    task.add_done_callback(_running.discard)


async def _cancel_accepted(gateway: Gateway, accepting: asyncio.Task[Accepted]) -> None:
    try:
        accepted = await asyncio.shield(accepting)
        if not gateway.watch.is_watched(accepted.job_id):
            await gateway.threads.check(cancel, gateway.settings.state, accepted.job_id)
    except (ApiError, KtjobError) as error:
        _LOG.warning("the job of a client that went could not be cancelled: %s", error)
