"""A plain JSON answer that may take hours: its status while it is early, then bytes that keep the
connection alive.

JSON may begin with any whitespace. So after `Limits.quick_seconds` the headers are sent with 200,
then a space every `Limits.comment_seconds`, then the JSON. An error that comes after the headers
cannot have its status any more: the answer is cut, and the same request gets the status.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from jobs.errors import KtjobError
from ktclient.gateway.context import Limits
from ktclient.gateway.wire import errors
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.event_stream import Cut, Stream, json_of

_SPACE = b" "
_GONE = 499
"""As nginx logs a client that went; nobody gets it."""


@dataclass(frozen=True)
class LongAnswer:
    """An answer in the making. `work` ends with the body, or raises `ApiError` or `KtjobError`. It
    is cancelled when the client goes or the gateway ends, so it must be a waiter, not the work."""

    work: asyncio.Task[Mapping[str, object]]
    headers: Callable[[], Mapping[str, str]] = dict
    """The headers, asked for when they are sent."""
    on_sent: Callable[[], None] = lambda: None
    """Called when the client has the whole answer, or the error with its status."""
    on_gone: Callable[[], None] = lambda: None
    """Called when the client goes before."""


async def response(request: Request, answer: LongAnswer, limits: Limits) -> Response:
    """The response to a request whose body was read."""
    gone = asyncio.create_task(_gone(request))
    try:
        both = {answer.work, gone}
        await asyncio.wait(both, timeout=limits.quick_seconds, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:  # the gateway ends
        answer.work.cancel()
        raise
    finally:
        gone.cancel()
    if gone.done() and not gone.cancelled():
        await _end(answer.work)
        answer.on_gone()
        return Response(status_code=_GONE)
    if answer.work.done():
        return _whole(answer)
    headers = {"content-type": "application/json", "x-accel-buffering": "no", **answer.headers()}
    return Stream(_late(answer, limits), headers, answer.on_sent, answer.on_gone)


async def _end(work: asyncio.Task[Mapping[str, object]]) -> None:
    """End the wait, so that nobody seems to wait any more."""
    work.cancel()
    await asyncio.wait({work})


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _whole(answer: LongAnswer) -> Response:
    async def note() -> None:
        answer.on_sent()

    headers = answer.headers()
    try:
        body, status = answer.work.result(), 200
    except ApiError as error:
        body, status, headers = error.body, error.status, {**headers, **error.all_headers}
    except KtjobError as error:
        found = errors.of(error)
        body, status, headers = found.body, found.status, {**headers, **found.all_headers}
    all_headers = {"content-type": "application/json", **headers}
    return Response(json_of(body), status, all_headers, background=BackgroundTask(note))


async def _late(answer: LongAnswer, limits: Limits) -> AsyncGenerator[bytes, None]:
    try:
        while not answer.work.done():
            yield _SPACE
            await asyncio.wait({answer.work}, timeout=limits.comment_seconds)
        try:
            body = answer.work.result()
        except (ApiError, KtjobError) as error:
            raise Cut(f"it failed after its headers were sent: {_words(error)}") from error
        yield json_of(body)
    finally:
        await _end(answer.work)


def _words(error: ApiError | KtjobError) -> str:
    return error.message if isinstance(error, ApiError) else str(error)
