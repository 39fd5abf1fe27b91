"""/v1/responses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from jobs.store.http.store import HttpStore
from ktclient.gateway import accept, delivery, ids, split_request, visibility
from ktclient.gateway.accept import Accepted, Asked, Incoming, at_server
from ktclient.gateway.chat import cancellation
from ktclient.gateway.context import Caller, Gateway
from ktclient.gateway.responses import changes, checks, plain, request_body, response, stored_items
from ktclient.gateway.responses.request_body import ResponseRequest
from ktclient.gateway.responses.response import SURFACE
from ktclient.gateway.responses.sources import StoreSources
from ktclient.gateway.responses.stream import FROM_THE_FIRST, ResponseStream
from ktclient.gateway.routing import model_names
from ktclient.gateway.visibility import Visible
from ktclient.gateway.wire import event_stream, long_answer
from ktclient.gateway.wire.long_answer import LongAnswer
from ktclient.gateway.wire.requests import body_of, caller_of, gateway_of
from ktclient.submission import chat_request

PATH = "/v1/responses"
JOB_ID, ATTACHED = "x-ktjob-id", "x-ktjob-attached"
_ENDED = ("completed", "incomplete", "failed", "cancelled")


def routes() -> list[BaseRoute]:
    """The routes of responses."""
    one = f"{PATH}/{{response_id}}"
    return [
        Route(PATH, create, methods=["POST"]),
        Route(f"{PATH}/input_tokens", count, methods=["POST"]),
        Route(one, retrieve, methods=["GET"]),
        Route(one, delete, methods=["DELETE"]),
        Route(f"{one}/cancel", cancel, methods=["POST"]),
        Route(f"{one}/input_items", list_input, methods=["GET"]),
    ]


async def create(request: Request) -> Response:
    """Make a response, and answer with it: plain or streamed, now or when it is done."""
    gateway, raw, caller = gateway_of(request), await body_of(request), caller_of(request)
    wanted = await gateway.threads.check(request_body.read, raw)

    def parse(_: bytes) -> Asked:
        is_split = split_request.wanted(request.headers) is not None
        return _asked(gateway, caller, wanted, is_split=is_split)

    incoming = Incoming(caller, SURFACE, raw, request.headers, parse)
    accepting = accept.begin(gateway, incoming)

    def gone() -> None:
        if request.headers.get(cancellation.HEADER) == "1" and not wanted.is_background:
            cancellation.client_gone(gateway, accepting)

    if wanted.is_streamed:
        return await _streamed(gateway, accepting, gone)
    if wanted.is_background:
        return await _at_once(request, gateway, accepting)
    return await _plain(request, gateway, accepting, gone)


def _asked(
    gateway: Gateway, caller: Caller, wanted: ResponseRequest, *, is_split: bool = False
) -> Asked:
    state = gateway.settings.state
    asked = request_body.asked(wanted, StoreSources(state, caller), is_split=is_split)
    return replace(asked, fields_of=lambda checked: response.policy(state, checked))


async def _streamed(
    gateway: Gateway, accepting: asyncio.Task[Accepted], gone: Callable[[], None]
) -> Response:
    await asyncio.wait({accepting}, timeout=gateway.limits.quick_seconds)
    if accepting.done():
        accepting.result()  # an error has its status
    stream = ResponseStream(gateway)
    events, headers = stream.of_request(accepting), _headers(accepting)
    return event_stream.response(events, headers, stream.note_sent, gone)


async def _plain(
    request: Request,
    gateway: Gateway,
    accepting: asyncio.Task[Accepted],
    gone: Callable[[], None],
) -> Response:
    def note() -> None:
        if accepting.done() and accepting.exception() is None:
            delivery.begin(gateway, accepting.result().job_id)

    work = asyncio.create_task(plain.answer(gateway, accepting))
    answer = LongAnswer(work, lambda: _headers(accepting), note, gone)
    return await long_answer.response(request, answer, gateway.limits)


async def _at_once(
    request: Request, gateway: Gateway, accepting: asyncio.Task[Accepted]
) -> Response:
    work = asyncio.create_task(plain.at_once(gateway, accepting))
    answer = LongAnswer(work, lambda: _headers(accepting))
    return await long_answer.response(request, answer, gateway.limits)


def _headers(accepting: asyncio.Task[Accepted]) -> Mapping[str, str]:
    """What an answer says of its job, as far as it is known."""
    if not accepting.done() or accepting.exception() is not None:
        return {}
    accepted = accepting.result()
    attached = {} if accepted.is_new else {ATTACHED: "1"}
    return {JOB_ID: accepted.job_id, **attached}


async def count(request: Request) -> Response:
    """Count the tokens of a request that is not made."""
    gateway, raw, caller = gateway_of(request), await body_of(request), caller_of(request)
    found = await gateway.threads.check(_count, gateway, caller, raw)
    return JSONResponse({"object": "response.input_tokens", "input_tokens": found})


def _count(gateway: Gateway, caller: Caller, raw: bytes) -> int:
    asked, settings = _asked(gateway, caller, request_body.read(raw)), gateway.settings
    server, model = model_names.route(gateway.models, settings, asked.body.model)
    options = at_server(gateway, asked.body, asked.options, server, model)
    options = replace(options, is_model_listed=True)
    checked = chat_request.check(asked.body.for_model(model), options, settings)
    return checked.forecast.count.tokens


async def retrieve(request: Request) -> Response:
    """The object, or its events from the first or behind one that the client has."""
    gateway, found = gateway_of(request), await _found(request)
    headers = {JOB_ID: found.job.id}
    if _is_true(request, "stream"):
        after = _number(request, "starting_after", FROM_THE_FIRST, 0)
        stream = ResponseStream(gateway, after)
        return event_stream.response(stream.of_job(found.job.id), headers, stream.note_sent)
    body = await gateway.threads.store(plain.read, found.job.id)
    return JSONResponse(body, headers=headers, background=_delivery(gateway, found.job.id, body))


def _delivery(gateway: Gateway, job_id: str, body: Mapping[str, Any]) -> BackgroundTask | None:
    if body["status"] not in _ENDED:
        return None

    async def note() -> None:
        delivery.begin(gateway, job_id)

    return BackgroundTask(note)


async def cancel(request: Request) -> Response:
    """Cancel a response that runs in the background."""
    gateway, found = gateway_of(request), await _found(request)
    await gateway.threads.check(changes.cancel, gateway.settings.state, found)
    await plain.ended(gateway, found.job.id, gateway.limits.quick_seconds)
    body = await gateway.threads.store(plain.read, found.job.id)
    return JSONResponse(body, headers={JOB_ID: found.job.id})


async def delete(request: Request) -> Response:
    """Delete a response; one that has not ended is cancelled first."""
    gateway, found = gateway_of(request), await _found(request)
    await gateway.threads.check(changes.delete, gateway.settings.state, found.job.id)
    response_id = f"{ids.RESPONSE}{found.job.id}"
    return JSONResponse({"id": response_id, "object": "response", "deleted": True})


async def list_input(request: Request) -> Response:
    """The input items of a response, page by page."""
    gateway, found = gateway_of(request), await _found(request)
    wanted = stored_items.Page(
        limit=_number(request, "limit", stored_items.USUAL, 1, stored_items.MOST),
        after=request.query_params.get("after") or None,
        order=request.query_params.get("order") or stored_items.DESCENDING,
    )
    return JSONResponse(await gateway.threads.store(stored_items.page, found, wanted))


async def _found(request: Request) -> Visible:
    given = request.path_params["response_id"]
    return await gateway_of(request).threads.store(_find, caller_of(request), given)


def _find(store: HttpStore, caller: Caller, given: str) -> Visible:
    found = visibility.find(store, caller, given, ids.RESPONSE)
    if found.request is not None and found.request.surface == "batches":
        raise visibility.not_found(given)
    return found


def _is_true(request: Request, name: str) -> bool:
    given = request.query_params.get(name, "false").lower()
    return checks.choice(given, name, ("true", "false")) == "true"


def _number(request: Request, name: str, usual: int, least: int, most: int = 2**53) -> int:
    given = request.query_params.get(name)
    if not given:
        return usual
    if not given.isascii() or not given.isdigit() or len(given) > 16:
        raise checks.wrong(name, "this is not a whole number", checks.WRONG_TYPE)
    if not least <= int(given) <= most:
        raise checks.wrong(name, f"this is not from {least:,} to {most:,}")
    return int(given)
