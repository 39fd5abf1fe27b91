"""The client for short queries: probes, token counts, aborts. Every reply is bounded, in its bytes,
its time and its structure, so that what calls it needs no bounds of its own."""

from __future__ import annotations

import json
import math
import re
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx2

from ktclient.request import bounds
from ktclient.request.bounds import Wire, socket_of

_KEPT = ("retry-after", "location")
"""Headers of a reply that are used. Without content-type: Python has codecs that decode no text, or
take very long."""

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


class Reply(httpx2.Response):
    """A whole reply, in memory."""

    def json(self, **options: Any) -> Any:
        """The body as JSON with finite numbers, and text that can be stored and sent. Raises
        `ValueError` if it is none, or nested too deeply."""
        try:
            found = super().json(parse_constant=_refuse, parse_float=_finite, **options)
            return _whole_characters(found) if _HALF.search(self.content) else found
        except RecursionError:
            raise ValueError("nested too deeply") from None


class ShortClient(httpx2.Client):
    """httpx2's client with bounded replies. For one thread at a time.

    A reply must begin within the timeout of its request, and end within
    `bounds.reply_seconds(timeout)`. Errors are those of httpx2: besides its own
    `bounds.TooLarge` and `bounds.TooSlow`.
    """

    watch: Callable[[socket.socket | None], None] | None = None
    """Gets the socket, once there is one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._url = ""
        # One for all requests: they may use the same connection.
        self._wire = Wire(
            late=lambda: bounds.reply_too_slow(self._url),
            flood=lambda: bounds.reply_too_large(self._url, "headers without end"),
        )

    def send(
        self, request: httpx2.Request, *, stream: bool = False, **options: Any
    ) -> httpx2.Response:
        """Send a request and read its whole reply; `stream` is ignored."""
        self._url = str(request.url.copy_with(userinfo=b"", query=None))
        patience = request.extensions["timeout"]["read"]
        self._wire.until = time.monotonic() + bounds.reply_seconds(patience)
        request.extensions["trace"] = self._trace
        response = super().send(request, stream=True, **options)
        sent = int(request.headers.get("content-length", "0"))
        try:
            body = bounds.read_reply(self._url, response.iter_bytes(), sent)
        finally:
            response.close()
        headers = {name: response.headers[name] for name in _KEPT if name in response.headers}
        return Reply(response.status_code, headers=headers, content=body, request=request)

    def _trace(self, step: str, info: dict[str, object]) -> None:
        self._wire.watch(step, info)
        sock = socket_of(step, info)
        if sock is not None and self.watch is not None:
            self.watch(sock)


def _whole_characters(value: Any) -> Any:
    """The value with U+FFFD for each escaped half of a character (a lone surrogate), which neither
    SQLite nor HTTP takes."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
    return json.loads(text.decode("utf-16-le", "replace"))


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("a number that is too large")
    return value
