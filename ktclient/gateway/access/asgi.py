"""The ASGI types, and requests as the rules of access read them: without a framework."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ktclient.gateway.wire.errors import ApiError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def headers_of(scope: Scope, name: str) -> list[str]:
    """The values of a header, in order; empty where it is missing."""
    wanted = name.encode("ascii")
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key == wanted]


def header_of(scope: Scope, name: str) -> str | None:
    """The value of a header that may occur once; the first, if it occurs more often."""
    found = headers_of(scope, name)
    return found[0] if found else None


def announced_bytes(scope: Scope) -> int | None:
    """The size of the body that is to come; None if the request does not say it."""
    if header_of(scope, "transfer-encoding") is not None:
        return None
    text = header_of(scope, "content-length") or "0"
    return int(text) if text.isdecimal() else None


async def send_error(send: Send, error: ApiError) -> None:
    """Answer with an error, in OpenAI's form."""
    body = json.dumps(error.body, ensure_ascii=False).encode("utf-8", "replace")
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **error.all_headers,
    }
    listed = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": listed})
    await send({"type": "http.response.body", "body": body, "more_body": False})
