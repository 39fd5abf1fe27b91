"""Short HTTP requests to a supervised server. `ktclient` sends the long ones.

It uses the standard library, because this package must not need the client's dependencies.
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

from server_bundle import addresses

QUESTION_SECONDS = 30.0
"""Timeout. /model_info and /v1/models are answered immediately, except while sglang tokenizes a
long prompt, which blocks all its HTTP."""


@dataclass(frozen=True)
class Answer:
    """An HTTP response of any status."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Treats a redirect as the answer, so that the key is not sent to another URL."""

    def redirect_request(self, *_: Any) -> None:
        return None


def get(
    url: str,
    key: str | None = None,
    body: Mapping[str, object] | None = None,
    seconds: float = QUESTION_SECONDS,
) -> Answer | None:
    """GET, or POST a body. None without an answer (or after `seconds` of silence)."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    if key:
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if addresses.is_here(urlsplit(url).hostname or ""):
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
