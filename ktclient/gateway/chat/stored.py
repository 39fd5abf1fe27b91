"""Stored chat completions: reading, changing and deleting them. In a thread of the store.

Every chat that came over HTTP is kept and listed, unless it said `store: false`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.model import Job
from jobs.store.http.store import HttpStore
from jobs.store.http.values import Request
from ktclient.gateway import ids, visibility
from ktclient.gateway.chat import completion, reading
from ktclient.gateway.context import Caller
from ktclient.gateway.visibility import Visible
from ktclient.gateway.wire import errors, job_errors
from ktclient.gateway.wire.errors import ApiError
from ktclient.request.body import Body

SURFACE = "chat"
_REQUEST = "request"
"""The kind of a task whose document is a request body."""
_AT_A_TIME = 100
"""Rows that are read at once, until enough of them match."""


@dataclass(frozen=True)
class Wanted:
    """Which completions a list has."""

    limit: int
    after: str | None = None
    """The id of the last one of the page before."""
    is_descending: bool = False
    model: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def whole(store: HttpStore, caller: Caller, given: str) -> dict[str, Any]:
    """The completion with this id. Raises `ApiError`: 404, the error of its job, or 409 for one
    that is not done."""
    found = visibility.find(store, caller, given, ids.CHAT)
    now = reading.read(store, found.job.id)
    if not now.is_finished:
        words = (
            f"{given} has no answer yet: it is {now.job.state}. Ask again later, send the same "
            "request again with its Idempotency-Key to wait for it, or stream "
            f"/v1/responses/{ids.RESPONSE}{found.job.id}"
        )
        raise ApiError(409, words, errors.INVALID, "not_finished", headers={"retry-after": "5"})
    if not now.is_answered:
        raise job_errors.of(now.job)
    return completion.body(now, metadata_of(found.request))


def metadata_of(request: Request | None) -> dict[str, Any]:
    """The metadata of a completion."""
    found = {} if request is None else request.fields.get("metadata")
    return found if isinstance(found, dict) else {}


def listed(store: HttpStore, caller: Caller, wanted: Wanted) -> dict[str, Any]:
    """One page of completions that have an answer. Raises `ApiError`."""
    after = None
    if wanted.after is not None:
        after = visibility.find(store, caller, wanted.after, ids.CHAT).job.seq
    found: list[dict[str, Any]] = []
    while len(found) <= wanted.limit:
        rows = store.requests_of(
            caller.sees, SURFACE, _AT_A_TIME, after, is_descending=wanted.is_descending
        )
        for row in rows:
            job = store.job(row.job_id)
            after = job.seq
            if _matches(row, wanted):
                found += _of_row(store, job, row, wanted)
            if len(found) > wanted.limit:
                break
        if len(rows) < _AT_A_TIME:
            break
    page = found[: wanted.limit]
    return _envelope(page, has_more=len(found) > wanted.limit)


def _matches(row: Request, wanted: Wanted) -> bool:
    told = metadata_of(row)
    return row.is_stored and all(told.get(key) == one for key, one in wanted.metadata.items())


def _of_row(store: HttpStore, job: Job, row: Request, wanted: Wanted) -> list[dict[str, Any]]:
    now = reading.read(store, job.id)
    is_wanted = wanted.model is None or completion.model_of(now) == wanted.model
    return [completion.body(now, metadata_of(row))] if now.is_answered and is_wanted else []


def _envelope(data: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    empty = {"first_id": None, "last_id": None}
    return {"object": "list", "data": data, **empty, **ends, "has_more": has_more}


def messages(store: HttpStore, caller: Caller, given: str, wanted: Wanted) -> dict[str, Any]:
    """One page of the messages of a completion's request, each with an id. Raises `ApiError`."""
    found = visibility.find(store, caller, given, ids.CHAT)
    told = _messages_of(store, found)
    named = [{"id": f"{ids.CHAT}{found.job.id}-{n}", **one} for n, one in enumerate(told)]
    if wanted.is_descending:
        named.reverse()
    start = 0
    if wanted.after is not None:
        places = [n for n, one in enumerate(named) if one["id"] == wanted.after]
        if not places:
            raise visibility.not_found(wanted.after)
        start = places[0] + 1
    page = named[start : start + wanted.limit]
    return _envelope(page, has_more=start + wanted.limit < len(named))


def _messages_of(store: HttpStore, found: Visible) -> list[dict[str, Any]]:
    document = store.document(found.job.document)
    spec = reading.read(store, found.job.id).spec
    if spec["task"]["kind"] == _REQUEST:
        return [dict(one) for one in Body.from_bytes(document).messages]
    return [{"role": "user", "content": document.decode()}]


def change_metadata(
    store: HttpStore, caller: Caller, given: str, metadata: dict[str, str]
) -> dict[str, Any]:
    """Replace its metadata. Returns the completion. Raises `ApiError`."""
    found = visibility.find(store, caller, given, ids.CHAT)
    if found.request is None:
        words = f"{given} was submitted on the command line, and has no metadata"
        raise ApiError(400, words, code="no_metadata")
    store.set_request_fields(found.job.id, {**found.request.fields, "metadata": metadata})
    return whole(store, caller, given)


def delete(store: HttpStore, caller: Caller, given: str) -> str:
    """Show it no longer; the id of its job, which is to be cancelled and deleted. Raises
    `ApiError`."""
    found = visibility.find(store, caller, given, ids.CHAT)
    store.note_deleted(found.job.id)
    return found.job.id
