"""Short HTTP requests to a supervised server. `ktclient` sends the long ones.

It uses the standard library, because this package must not need the client's dependencies.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

from server_bundle import addresses

QUESTION_SECONDS = 30.0
"""Timeout. /model_info and /v1/models are answered immediately, except while sglang tokenizes a
long prompt, which blocks all its HTTP."""
MORE_SECONDS = 60.0
"""How long the whole of an answer may take after the time in which its first byte must arrive."""
MOST_BYTES = 1 << 20
"""Of an answer: what is asked here has a few thousand. A longer one is none."""


@dataclass(frozen=True)
class Answer:
    """An HTTP response of any status."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None when it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Treats a redirect as the answer, so that the key is not sent to another URL."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _InTime(socket.socket):
    """A socket with a deadline for all that it reads: a timeout holds for one read only, and one
    byte a second never ends."""

    until = 0.0
    patience = 0.0

    def recv_into(self, *arguments: Any) -> int:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self.settimeout(min(self.patience, left))
        return super().recv_into(*arguments)


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        super().connect()
        assert isinstance(self.timeout, float)
        self.sock = _InTime(fileno=self.sock.detach())
        self.sock.patience = self.timeout
        self.sock.until = time.monotonic() + self.timeout + MORE_SECONDS
        self.sock.settimeout(self.timeout)


class _Handler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


def get(
    url: str,
    key: str | None = None,
    body: Mapping[str, object] | None = None,
    seconds: float = QUESTION_SECONDS,
) -> Answer | None:
    """GET, or POST a body, to an http:// URL. None without an answer: after `seconds` of silence,
    if it is not complete `MORE_SECONDS` later, or has more than `MOST_BYTES`."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    if key:
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect(), _Handler()]
    if addresses.is_here(urlsplit(url).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=seconds) as answer:
            return _whole(answer.status, answer)
    except urllib.error.HTTPError as error:
        with error, contextlib.suppress(OSError, http.client.HTTPException):
            return _whole(error.code, error)
        return Answer(error.code, b"")
    except (OSError, http.client.HTTPException, ValueError):
        return None


def _whole(status: int, answer: IO[bytes]) -> Answer | None:
    body = answer.read(MOST_BYTES + 1)
    return Answer(status, body) if len(body) <= MOST_BYTES else None
