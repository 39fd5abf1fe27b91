"""A stream of server-sent events, alive through any silence, and cut rather than closed early.

A stream that ends without its last event is taken for a whole answer by most clients. So the
generator of a stream that cannot go on raises `Cut`, and the connection is dropped without the last
chunk.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    # nginx: pass it on at once.
    "x-accel-buffering": "no",
}
COMMENT = b": ktjob\n\n"
"""Keeps a connection alive, and no client shows it."""
DONE = b"data: [DONE]\n\n"
_LOG = logging.getLogger("ktjob")


class Cut(Exception):
    """The stream ends here without its end, so that the client knows that something is missing."""


class Stream(StreamingResponse):
    """A body that can be cut. `on_sent` is called after its end, even if the client goes as soon
    as it has the last event; `on_gone` when the client went before, once the generator is closed.
    Neither when the gateway ends or the body is cut."""

    def __init__(
        self,
        parts: AsyncIterator[bytes],
        headers: Mapping[str, str],
        on_sent: Callable[[], None] = lambda: None,
        on_gone: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(parts, headers=headers)
        self._parts = parts
        self._on_sent, self._on_gone = on_sent, on_gone
        self._is_over = self._is_gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            if isinstance(self._parts, AsyncGenerator):
                await self._parts.aclose()
        if self._is_gone:
            self._on_gone()

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except Cut as cut:
            # To return without the last chunk makes the server drop the connection.
            _LOG.warning("an answer was cut: %s", cut)
        else:
            self._on_sent()
        self._is_over = True

    async def listen_for_disconnect(self, receive: Receive) -> None:
        await super().listen_for_disconnect(receive)
        self._is_gone = not self._is_over


def event(data: object, name: str | None = None) -> bytes:
    """One event, to be written at once: a parser may forget half an event. Never with `id:` or
    `retry:`, which confuse openai's clients."""
    head = f"event: {name}\n" if name else ""
    return head.encode() + b"data: " + json_of(data) + b"\n\n"


def json_of(data: object) -> bytes:
    """Compact JSON in one line. A character that a model's piece cuts in halves stays in halves,
    for whoever joins the pieces."""
    try:
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(data, separators=(",", ":")).encode()


def response(
    events: AsyncIterator[bytes],
    headers: Mapping[str, str],
    on_sent: Callable[[], None] = lambda: None,
    on_gone: Callable[[], None] = lambda: None,
) -> Stream:
    """The answer that sends these events, its headers at once."""
    return Stream(events, {**HEADERS, **headers}, on_sent, on_gone)
