"""How many HTTP requests this process answered, by method, route and status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_NO_ROUTE = "none"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"
"""Labels must not be text that a client chooses: each would be a new time series for ever."""


class HttpCounts:
    """Counts since the process started. Used in the event loop only, read in any thread."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """By method, path template of the route, and status; 0: cut before its headers."""
        self.open_requests = 0

    def counting(self, app: _App) -> _App:
        """The same application, counted."""

        async def counted(scope: _Scope, receive: _Receive, send: _Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status = 0

            async def send_noted(message: _Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            self.open_requests += 1
            try:
                await app(scope, receive, send_noted)
            finally:
                self.open_requests -= 1
                self.requests[(_method(scope), _route(scope), status)] += 1

        return counted


def _method(scope: _Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else _OTHER


def _route(scope: _Scope) -> str:
    """The path template of the route that answered it."""
    return getattr(scope.get("route"), "path", None) or _NO_ROUTE
