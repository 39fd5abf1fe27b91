"""/v1/batches."""

from __future__ import annotations

import asyncio
import functools

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway import accept
from ktclient.gateway.accept import Asked, Incoming
from ktclient.gateway.batches import batch_object, creation, state
from ktclient.gateway.context import Caller
from ktclient.gateway.files import list_query
from ktclient.gateway.files.list_query import ListQuery
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.requests import body_of, caller_of, gateway_of

_USUAL_LISTED, _MOST_LISTED = 20, 100


def routes() -> list[BaseRoute]:
    """All routes of batches."""
    one = "/v1/batches/{batch_id}"
    return [
        Route("/v1/batches", _create, methods=["POST"]),
        Route("/v1/batches", _list, methods=["GET"]),
        Route(one, _retrieve, methods=["GET"]),
        Route(f"{one}/cancel", _cancel, methods=["POST"]),
    ]


async def _create(request: Request) -> Response:
    gateway, caller = gateway_of(request), caller_of(request)
    raw = await body_of(request)
    submit = functools.partial(
        creation.submit, models=gateway.models, max_tokens=gateway.limits.max_tokens
    )
    incoming = Incoming(caller, creation.SURFACE, raw, request.headers, _no_chat, submit=submit)
    accepted = await asyncio.shield(accept.begin(gateway, incoming))
    return JSONResponse(await gateway.threads.store(_shown, caller, accepted.job_id))


def _no_chat(raw: bytes) -> Asked:
    raise AssertionError("a batch is no chat")


async def _retrieve(request: Request) -> Response:
    batch_id = request.path_params["batch_id"]
    caller = caller_of(request)
    return JSONResponse(await gateway_of(request).threads.store(_retrieved, caller, batch_id))


def _retrieved(store: HttpStore, caller: Caller, batch_id: str) -> dict[str, object]:
    """A client that asks for a batch that has ended knows of it: what it sends from now on is
    another request, even if it is the same."""
    batch = state.find(store, caller, batch_id)
    if batch.has_ended and batch.request.delivered_at is None:
        store.note_delivered(batch.job.id)
    return batch_object.to_json(batch)


def _shown(store: HttpStore, caller: Caller, batch_id: str) -> dict[str, object]:
    return batch_object.to_json(state.find(store, caller, batch_id))


async def _cancel(request: Request) -> Response:
    gateway, caller = gateway_of(request), caller_of(request)
    batch_id, place = request.path_params["batch_id"], gateway.settings.state
    return JSONResponse(await gateway.threads.check(_cancelled, place, caller, batch_id))


def _cancelled(place: StateDir, caller: Caller, batch_id: str) -> dict[str, object]:
    """In a thread for long work: ten thousands of parts take seconds."""
    with HttpStore.open(place) as store:
        batch = state.find(store, caller, batch_id)
        if batch.status in (state.COMPLETED, state.FAILED):
            words = f"the batch {batch_id} is {batch.status}, so it cannot be cancelled"
            raise ApiError(400, words, code="batch_not_cancellable")
        store.request_cancel(batch.last.id)
        return _shown(store, caller, batch_id)


async def _list(request: Request) -> Response:
    gateway, caller = gateway_of(request), caller_of(request)
    query = ListQuery.of(request.query_params, _USUAL_LISTED, _MOST_LISTED)
    return JSONResponse(await gateway.threads.store(_page, caller, query))


def _page(store: HttpStore, caller: Caller, query: ListQuery) -> dict[str, object]:
    found = state.listed(
        store, caller, query.limit + 1, query.after, is_descending=query.is_descending
    )
    shown = [batch_object.to_json(one) for one in found[: query.limit]]
    return list_query.envelope(shown, has_more=len(found) > query.limit)
