"""/v1/chat/completions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ktclient.gateway import accept, delivery
from ktclient.gateway.accept import Accepted, Incoming
from ktclient.gateway.chat import cancellation, plain, request_body, stored_routes
from ktclient.gateway.chat.request_body import ChatRequest
from ktclient.gateway.chat.stream import ChatStream
from ktclient.gateway.context import Gateway
from ktclient.gateway.wire import event_stream, long_answer
from ktclient.gateway.wire.long_answer import LongAnswer
from ktclient.gateway.wire.requests import body_of, caller_of, gateway_of

JOB_ID, ATTACHED = "x-ktjob-id", "x-ktjob-attached"


def routes() -> list[BaseRoute]:
    """The routes of chats."""
    return [Route(stored_routes.PATH, create, methods=["POST"]), *stored_routes.routes()]


async def create(request: Request) -> Response:
    """Answer a chat, streamed or not."""
    gateway, raw = gateway_of(request), await body_of(request)
    asked = await gateway.threads.check(request_body.parse, raw)
    incoming = Incoming(caller_of(request), "chat", raw, request.headers, lambda _: asked.asked)
    accepting = accept.begin(gateway, incoming)

    def gone() -> None:
        if request.headers.get(cancellation.HEADER) == "1":
            cancellation.client_gone(gateway, accepting)

    if asked.is_streamed:
        return await _streamed(gateway, accepting, asked, gone)
    return await _plain(request, gateway, accepting, gone)


async def _streamed(
    gateway: Gateway,
    accepting: asyncio.Task[Accepted],
    asked: ChatRequest,
    gone: Callable[[], None],
) -> Response:
    await asyncio.wait({accepting}, timeout=gateway.limits.quick_seconds)
    if accepting.done():
        accepting.result()  # an error has its status
    stream = ChatStream(gateway, includes_usage=asked.includes_usage)

    def note() -> None:
        if stream.has_answered:
            _note_delivered(gateway, accepting)

    return event_stream.response(stream.events(accepting), _headers(accepting), note, gone)


async def _plain(
    request: Request,
    gateway: Gateway,
    accepting: asyncio.Task[Accepted],
    gone: Callable[[], None],
) -> Response:
    work = asyncio.create_task(plain.answer(gateway, accepting))
    answer = LongAnswer(
        work,
        headers=lambda: _headers(accepting),
        on_sent=lambda: _note_delivered(gateway, accepting),
        on_gone=gone,
    )
    return await long_answer.response(request, answer, gateway.limits)


def _note_delivered(gateway: Gateway, accepting: asyncio.Task[Accepted]) -> None:
    if accepting.done() and accepting.exception() is None:
        delivery.begin(gateway, accepting.result().job_id)


def _headers(accepting: asyncio.Task[Accepted]) -> Mapping[str, str]:
    """What an answer says of its job, as far as it is known."""
    if not accepting.done() or accepting.exception() is not None:
        return {}
    accepted = accepting.result()
    attached = {} if accepted.is_new else {ATTACHED: "1"}
    return {JOB_ID: accepted.job_id, **attached}
