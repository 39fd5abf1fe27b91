"""The form and the size of a request, before anybody reads it, and the pace at which it is read."""

from __future__ import annotations

import asyncio
import time

from jobs import durations
from ktclient.gateway.access.asgi import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    announced_bytes,
    header_of,
    headers_of,
    send_error,
)
from ktclient.gateway.access.body_budget import BodyBudget, Lease
from ktclient.gateway.context import Limits
from ktclient.gateway.wire.errors import ApiError, too_large
from ktclient.gateway.wire.requests import LEASE

SILENT_SECONDS = 60.0
"""How long a client may send nothing of a body that it has begun."""
SLOWEST_BYTES = 10_000
"""Per second, beyond those seconds: a client that sends a body byte by byte holds a connection."""


class Shape:
    """The middleware that refuses what cannot be a request, and bounds each body."""

    def __init__(self, app: App, limits: Limits) -> None:
        self._app, self._limits = app, limits
        self._budget = BodyBudget()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            _check(scope, self._limits.body_bytes)
        except ApiError as error:
            await send_error(send, error)
            return
        body = Incoming(receive, self._limits.body_bytes)
        lease = scope[LEASE] = Lease(self._budget)

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                lease.end()
            await send(message)

        try:
            await self._app(scope, body.receive, send_noted)
        finally:
            lease.end()


def _check(scope: Scope, most: int) -> None:
    """Raise `ApiError` for a request that two readers could understand in two ways, and for a body
    that is announced to be too large: it is not read."""
    closes = {"connection": "close"}
    if not scope["path"].startswith("/"):
        words = "the target of the request must be a path: /v1/..., not a whole URL"
        raise ApiError(400, words, headers=closes)
    lengths, codings = headers_of(scope, "content-length"), headers_of(scope, "transfer-encoding")
    if (lengths and codings) or len(lengths) > 1 or len(codings) > 1:
        words = "the request says in two ways where its body ends (Content-Length and others)"
        raise ApiError(400, words, headers=closes)
    if header_of(scope, "content-encoding") not in (None, "identity"):
        words = "compressed bodies are not read: send it without Content-Encoding"
        raise ApiError(415, words, headers=closes)
    size = announced_bytes(scope)
    if size is not None and size > most:
        raise too_large(most)


class Incoming:
    """The body of one request on its way in."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most = receive, most
        self._size = 0
        self._start: float | None = None
        self._is_whole = False

    async def receive(self) -> Message:
        """The next part. Raises `ApiError`: 413 for more bytes than the limit, 408 for a client
        that sends too slowly. Behind the end of the body there is no limit of time."""
        if self._is_whole:
            return await self._receive()
        message = await self._next()
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self._is_whole = not message.get("more_body", False)
            if self._size > self._most:
                raise too_large(self._most)
        return message

    async def _next(self) -> Message:
        now = time.monotonic()
        self._start = now if self._start is None else self._start
        allowed = SILENT_SECONDS + self._size / SLOWEST_BYTES
        left = min(SILENT_SECONDS, self._start + allowed - now)
        try:
            return await asyncio.wait_for(self._receive(), max(left, 0.0))
        except (TimeoutError, asyncio.TimeoutError):
            raise ApiError(
                408,
                f"the body came too slowly: after {durations.rough(now + left - self._start)} s, "
                f"{self._size:,} bytes of it were here",
                code="request_timeout",
                is_curable=True,
                headers={"connection": "close"},
            ) from None
