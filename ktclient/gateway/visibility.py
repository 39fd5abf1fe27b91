"""Which jobs a caller may see. To see nothing there and not to be allowed to see it is the same."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.errors import NoSuchJob
from jobs.model import Job
from jobs.store.http.store import HttpStore
from jobs.store.http.values import Request
from ktclient.gateway import ids
from ktclient.gateway.context import Caller
from ktclient.gateway.wire.errors import ApiError
from ktclient.wording import quote


@dataclass(frozen=True)
class Visible:
    """A job that a caller may see. `request` is None for one of the command line."""

    job: Job
    request: Request | None


def find(store: HttpStore, caller: Caller, given: str, prefix: str) -> Visible:
    """The job that an id names. Raises `ApiError` 404, also for another caller's job, a part of a
    job, and one that was deleted."""
    try:
        job = store.job(ids.job_id_of(given, prefix))
    except NoSuchJob:
        raise not_found(given) from None
    request = store.request(job.id)
    owner = "" if request is None else request.owner
    is_seen = caller.sees is None or (request is not None and owner == caller.sees)
    if not is_seen or job.parent is not None or (request is not None and request.deleted_at):
        raise not_found(given)
    return Visible(job, request)


def not_found(given: str) -> ApiError:
    """The error for an id that names nothing that the caller may see."""
    words = f"there is nothing with the id {quote(given)}, or your key may not see it"
    return ApiError(404, words, code="not_found")
