"""/v1/responses."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from jobs.store.http.store import HttpStore
from ktclient.errors import DoesNotFit, ModelUnknown
from ktclient.gateway import accept, delivery, ids, visibility
from ktclient.gateway.accept import Accepted, Asked, Incoming
from ktclient.gateway.context import Caller, Gateway
from ktclient.gateway.responses import changes, checks, input_list, plain, request
from ktclient.gateway.responses.request import ResponseRequest
from ktclient.gateway.responses.response import SURFACE
from ktclient.gateway.responses.sources import StoreSources
from ktclient.gateway.responses.stream import FROM_THE_FIRST, ResponseStream
from ktclient.gateway.visibility import Visible
from ktclient.gateway.wire import errors, event_stream, long_answer
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


async def create(http: Request) -> Response:
    """Make a response, and answer with it: plain or streamed, now or when it is done."""
    gateway, raw, caller = gateway_of(http), await body_of(http), caller_of(http)
    wanted = await gateway.threads.check(request.read, raw)

    def parse(_: bytes) -> Asked:
        return _asked(gateway, caller, wanted)

    incoming = Incoming(caller, SURFACE, raw, http.headers, parse)
    accepting = asyncio.create_task(_named(accept.begin(gateway, incoming)))
    accepting.add_done_callback(_seen)
    if wanted.is_streamed:
        return await _streamed(gateway, accepting)
    return await _plain(http, gateway, accepting, wanted)


def _asked(gateway: Gateway, caller: Caller, wanted: ResponseRequest) -> Asked:
    with HttpStore.open(gateway.settings.state) as store:
        return request.asked(wanted, StoreSources(store, caller))


async def _named(accepting: asyncio.Task[Accepted]) -> Accepted:
    """The same, and errors of the server's facts with the field that they are about."""
    try:
        return await asyncio.shield(accepting)
    except DoesNotFit as error:
        raise dataclasses.replace(errors.of(error), param=request.INPUT) from error
    except ModelUnknown as error:
        raise dataclasses.replace(errors.of(error), param="model") from error


def _seen(done: asyncio.Task[Accepted]) -> None:
    if not done.cancelled():
        done.exception()  # whoever waits has it


async def _streamed(gateway: Gateway, accepting: asyncio.Task[Accepted]) -> Response:
    await asyncio.wait({accepting}, timeout=gateway.limits.quick_seconds)
    if accepting.done():
        accepting.result()  # an error has its status
    events = ResponseStream(gateway).of_request(accepting)
    return event_stream.response(events, _headers(accepting))


async def _plain(
    http: Request, gateway: Gateway, accepting: asyncio.Task[Accepted], wanted: ResponseRequest
) -> Response:
    async def note() -> None:
        is_done = accepting.done() and accepting.exception() is None
        if is_done and not wanted.is_background:
            await delivery.note_delivered(gateway, accepting.result().job_id)

    work = plain.at_once if wanted.is_background else plain.answer
    waiter = asyncio.create_task(work(gateway, accepting))
    answer = LongAnswer(waiter, lambda: _headers(accepting), note)
    return await long_answer.response(http, answer, gateway.limits)


def _headers(accepting: asyncio.Task[Accepted]) -> Mapping[str, str]:
    """What an answer says of its job, as far as it is known."""
    if not accepting.done() or accepting.exception() is not None:
        return {}
    accepted = accepting.result()
    attached = {} if accepted.is_new else {ATTACHED: "1"}
    return {JOB_ID: accepted.job_id, **attached}


async def count(http: Request) -> Response:
    """Count the tokens of a request that is not made."""
    gateway, raw, caller = gateway_of(http), await body_of(http), caller_of(http)
    found = await gateway.threads.check(_count, gateway, caller, raw)
    return JSONResponse({"object": "response.input_tokens", "input_tokens": found})


def _count(gateway: Gateway, caller: Caller, raw: bytes) -> int:
    asked = _asked(gateway, caller, request.read(raw))
    checked = chat_request.check(asked.body, asked.options, gateway.settings)
    return checked.forecast.count.tokens


async def retrieve(http: Request) -> Response:
    """The object, or its events from the first or behind one that the client has."""
    gateway, found = gateway_of(http), await _found(http)
    headers = {JOB_ID: found.job.id}
    if _is_true(http, "stream"):
        after = _number(http, "starting_after", FROM_THE_FIRST, 0)
        events = ResponseStream(gateway, after).of_job(found.job.id)
        return event_stream.response(events, headers)
    body = await gateway.threads.store(plain.read, found.job.id)
    return JSONResponse(body, headers=headers, background=_delivered(gateway, found.job.id, body))


def _delivered(gateway: Gateway, job_id: str, body: Mapping[str, Any]) -> BackgroundTask | None:
    if body["status"] not in _ENDED:
        return None
    return BackgroundTask(delivery.note_delivered, gateway, job_id)


async def cancel(http: Request) -> Response:
    """Cancel a response that runs in the background."""
    gateway, found = gateway_of(http), await _found(http)
    await gateway.threads.check(changes.cancel, gateway.settings.state, found)
    await plain.ended(gateway, found.job.id, gateway.limits.quick_seconds)
    body = await gateway.threads.store(plain.read, found.job.id)
    return JSONResponse(body, headers={JOB_ID: found.job.id})


async def delete(http: Request) -> Response:
    """Delete a response; one that has not ended is cancelled first."""
    gateway, found = gateway_of(http), await _found(http)
    await gateway.threads.check(changes.delete, gateway.settings.state, found.job.id)
    response_id = f"{ids.RESPONSE}{found.job.id}"
    return JSONResponse({"id": response_id, "object": "response", "deleted": True})


async def list_input(http: Request) -> Response:
    """The input items of a response, page by page."""
    gateway, found = gateway_of(http), await _found(http)
    asked = input_list.Page(
        limit=_number(http, "limit", input_list.USUAL, 1, input_list.MOST),
        after=http.query_params.get("after") or None,
        order=http.query_params.get("order") or input_list.DESCENDING,
    )
    return JSONResponse(await gateway.threads.store(input_list.read, found, asked))


async def _found(http: Request) -> Visible:
    given = http.path_params["response_id"]
    return await gateway_of(http).threads.store(_find, caller_of(http), given)


def _find(store: HttpStore, caller: Caller, given: str) -> Visible:
    found = visibility.find(store, caller, given, ids.RESPONSE)
    if found.request is not None and found.request.surface == "batches":
        raise visibility.not_found(given)
    return found


def _is_true(http: Request, name: str) -> bool:
    given = http.query_params.get(name, "false").lower()
    return checks.choice(given, name, ("true", "false")) == "true"


def _number(http: Request, name: str, usual: int, least: int, most: int = 2**53) -> int:
    given = http.query_params.get(name)
    if not given:
        return usual
    if not given.isascii() or not given.isdigit() or len(given) > 16:
        raise checks.wrong(name, "this is not a whole number", checks.WRONG_TYPE)
    if not least <= int(given) <= most:
        raise checks.wrong(name, f"this is not from {least:,} to {most:,}")
    return int(given)
