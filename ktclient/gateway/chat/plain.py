"""A chat that is answered as a whole."""

from __future__ import annotations

import asyncio

from ktclient.gateway.accept import Accepted
from ktclient.gateway.chat import completion, reading
from ktclient.gateway.context import Gateway
from ktclient.gateway.wire import job_errors

_LONG_SECONDS = 3600.0


async def answer(gateway: Gateway, accepting: asyncio.Task[Accepted]) -> dict[str, object]:
    """Wait for the completion. Raises `ApiError`, `KtjobError`. To cancel it ends only the wait."""
    accepted = await asyncio.shield(accepting)
    with gateway.watch.job(accepted.job_id) as changes:
        while True:
            head = changes.head
            if head is not None and head.status == "FINISHED":
                break
            await changes.changed(_LONG_SECONDS)
            if changes.head is None:
                break  # it was deleted; the read says so
    found = await gateway.threads.patient(reading.read, accepted.job_id)
    if not found.is_answered:
        raise job_errors.of(found.job)
    return completion.body(found)
