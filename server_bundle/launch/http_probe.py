"""Small questions to a server of ours over HTTP. Long requests are the client's.

By the standard library: this package must not need the client's dependencies.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

QUESTION_SECONDS = 30.0
"""/model_info and /v1/models are answered at once, but tokenizing a long prompt stops all HTTP of
an sglang for as long as it takes."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Its body, or None when that is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer: the key must not go along."""

    def redirect_request(self, *_: Any) -> None:
        return None


def ask(
    url: str,
    key: str | None = None,
    body: Mapping[str, object] | None = None,
    seconds: float = QUESTION_SECONDS,
) -> Answer | None:
    """GET, or POST a body. None when nobody answered (in `seconds` of silence)."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    if key:
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if urlsplit(url).hostname in _LOOPBACK:
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=seconds) as answer:
            return Answer(answer.status, answer.read())
    except urllib.error.HTTPError as error:
        with error, contextlib.suppress(OSError, http.client.HTTPException):
            return Answer(error.code, error.read())
        return Answer(error.code, b"")
    except (OSError, http.client.HTTPException, ValueError):
        return None
