"""/v1/chat/completions for what was answered before."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from jobs.store.state_dir import StateDir
from ktclient.gateway import delivery
from ktclient.gateway.chat import cancellation, request_body, stored
from ktclient.gateway.chat.stored import Wanted
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.event_stream import json_of
from ktclient.gateway.wire.requests import caller_of, gateway_of, short_fields_of

PATH = "/v1/chat/completions"
MOST_LISTED, USUALLY_LISTED = 100, 20
_METADATA = re.compile(r"metadata\[(.+)\]")


def routes() -> list[BaseRoute]:
    """The routes of stored completions."""
    one = PATH + "/{completion_id}"
    return [
        Route(PATH, listed, methods=["GET"]),
        Route(one, retrieve, methods=["GET"]),
        Route(one, update, methods=["POST"]),
        Route(one, delete, methods=["DELETE"]),
        Route(f"{one}/messages", messages, methods=["GET"]),
    ]


async def listed(request: Request) -> Response:
    """A page of completions."""
    return await _read(request, stored.listed, _wanted(request))


async def retrieve(request: Request) -> Response:
    """One completion."""
    return await _read(request, stored.whole, _id(request))


async def messages(request: Request) -> Response:
    """A page of what was asked."""
    return await _read(request, stored.messages, _id(request), _wanted(request))


async def update(request: Request) -> Response:
    """Other metadata."""
    fields = await short_fields_of(request)
    if "metadata" not in fields:
        raise ApiError(400, "metadata is missing", code="missing_field", param="metadata")
    metadata = request_body.checked_metadata(fields["metadata"])
    return await _read(request, stored.change_metadata, _id(request), metadata)


async def delete(request: Request) -> Response:
    """Delete a completion. A running job is cancelled first, and deleted when it has ended."""
    gateway, given = gateway_of(request), _id(request)
    job_id = await gateway.threads.store(stored.delete, caller_of(request), given)
    await gateway.threads.check(_end, gateway.settings.state, job_id)
    found = {"id": given, "object": "chat.completion.deleted", "deleted": True}
    return JSONResponse(found)


def _end(state: StateDir, job_id: str) -> None:
    cancellation.cancel(state, job_id)
    delivery.sweep(state)


async def _read(request: Request, read: Callable[..., dict[str, Any]], *given: object) -> Response:
    found = await gateway_of(request).threads.store(read, caller_of(request), *given)
    return Response(json_of(found), media_type="application/json")


def _id(request: Request) -> str:
    return str(request.path_params["completion_id"])


def _wanted(request: Request) -> Wanted:
    """The query. Raises `ApiError`."""
    query = request.query_params
    order = query.get("order", "asc")
    if order not in ("asc", "desc"):
        raise ApiError(400, "order is neither asc nor desc", code="invalid_value", param="order")
    limit = query.get("limit", str(USUALLY_LISTED))
    is_number = limit.isascii() and limit.isdigit() and len(limit) < 9
    if not is_number or not 1 <= int(limit) <= MOST_LISTED:
        words = f"limit is not a whole number from 1 to {MOST_LISTED}"
        raise ApiError(400, words, code="invalid_value", param="limit")
    named = ((_METADATA.fullmatch(key), value) for key, value in query.items())
    return Wanted(
        limit=int(limit),
        after=query.get("after"),
        is_descending=order == "desc",
        model=query.get("model"),
        metadata={key[1]: value for key, value in named if key},
    )
