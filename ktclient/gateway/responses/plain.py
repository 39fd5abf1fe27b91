"""The response object of a job: now, or when the job has ended."""

from __future__ import annotations

import asyncio
from typing import Any

from jobs.errors import NoSuchJob
from jobs.model import Status
from jobs.store.http.store import HttpStore
from ktclient.gateway import visibility
from ktclient.gateway.accept import Accepted
from ktclient.gateway.context import Gateway
from ktclient.gateway.responses import progress
from ktclient.gateway.responses.history import History
from ktclient.gateway.wire import job_errors

_LONG_SECONDS = 3600.0
_ANSWERED = ("completed", "incomplete")

Fields = dict[str, Any]


def read(store: HttpStore, job_id: str) -> Fields:
    """The object as it is now. Raises `ApiError` 404."""
    history = History(job_id)
    try:
        history.read(store)
        job = store.job(job_id)
    except NoSuchJob:
        raise visibility.not_found(job_id) from None
    found = history.response()
    if not history.is_over and job.status is not Status.FINISHED:
        found["ktjob"] = {**found["ktjob"], **progress.of(store, job)}
    return found


async def at_once(gateway: Gateway, accepting: asyncio.Task[Accepted]) -> Fields:
    """The object of a request as soon as its job is stored. Raises `ApiError`, `KtjobError`."""
    accepted = await asyncio.shield(accepting)
    return await gateway.threads.patient(read, accepted.job_id)


async def answer(gateway: Gateway, accepting: asyncio.Task[Accepted]) -> Fields:
    """The object of a request whose job has ended with an answer. Raises `ApiError`, `KtjobError`.
    To cancel it ends only the wait."""
    accepted = await asyncio.shield(accepting)
    await ended(gateway, accepted.job_id, _LONG_SECONDS, is_patient=True)
    found = await gateway.threads.patient(read, accepted.job_id)
    if found["status"] not in _ANSWERED:
        raise job_errors.of(await gateway.threads.patient(_job, accepted.job_id))
    return found


def _job(store: HttpStore, job_id: str) -> Any:
    return store.job(job_id)


async def ended(gateway: Gateway, job_id: str, seconds: float, *, is_patient: bool = False) -> None:
    """Wait until a job has ended or is gone; `seconds` at most, unless patient."""
    with gateway.watch.job(job_id) as changes:
        while await changes.changed(seconds) or is_patient:
            if changes.head is None or changes.head.status == Status.FINISHED.value:
                return
