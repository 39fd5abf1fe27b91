"""The gate for web pages: names and origins are checked first, and allowed origins get CORS."""

from __future__ import annotations

import re

from ktclient.gateway.access import hosts
from ktclient.gateway.access.asgi import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    header_of,
    send_error,
)
from ktclient.gateway.access.rules import Rules
from ktclient.gateway.wire.errors import ApiError

_METHODS = b"GET, POST, DELETE"
_EXPOSED = b"x-request-id, retry-after, retry-after-ms, x-should-retry"
_ASKED = re.compile(r"[A-Za-z0-9_, -]{1,2000}")
_AGE_SECONDS = b"600"


class Origins:
    """The middleware that refuses foreign names and origins, and answers preflights."""

    def __init__(self, app: App, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        origin = hosts.allowed_origin(scope, self._rules)
        send = send if origin is None else _with_cors(send, origin)
        try:
            hosts.check_host(scope, self._rules)
            hosts.check_origin(scope, self._rules)
        except ApiError as error:
            await send_error(send, error)
            return
        if origin is not None and _is_preflight(scope):
            await _answer_preflight(scope, send)
            return
        await self._app(scope, receive, send)


def _is_preflight(scope: Scope) -> bool:
    asks = header_of(scope, "access-control-request-method") is not None
    return scope["method"] == "OPTIONS" and asks


async def _answer_preflight(scope: Scope, send: Send) -> None:
    headers = [
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-max-age", _AGE_SECONDS),
    ]
    asked = header_of(scope, "access-control-request-headers") or ""
    if _ASKED.fullmatch(asked):
        headers.append((b"access-control-allow-headers", asked.encode("ascii")))
    if header_of(scope, "access-control-request-private-network") == "true":
        headers.append((b"access-control-allow-private-network", b"true"))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _with_cors(send: Send, origin: str) -> Send:
    """Its pages may read the answers. Never with credentials: cookies are for our own page."""
    added = [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"origin"),
    ]

    async def send_them(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *added]
        await send(message)

    return send_them
