"""A request as the routes see it: its gateway, its caller, its body."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from ktclient.gateway.context import Caller, Gateway
from ktclient.gateway.wire.errors import ApiError

CALLER = "ktjob.caller"
"""The key of a request's scope under which `access` puts the `Caller`."""


def gateway_of(request: Request) -> Gateway:
    """The gateway that got it."""
    found: Gateway = request.app.state.gateway
    return found


def caller_of(request: Request) -> Caller:
    """Who sent it."""
    found: Caller = request.scope[CALLER]
    return found


async def body_of(request: Request) -> bytes:
    """The whole body. Raises `ApiError` 413 for more bytes than the limit, before they are read
    where the request says how many there are."""
    most = gateway_of(request).limits.body_bytes
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        raise too_large(most)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise too_large(most)
        parts.append(part)
    return b"".join(parts)


def too_large(most: int) -> ApiError:
    """The error for a body of more than so many bytes."""
    words = f"the request has more than {most:,} bytes. Send a smaller one"
    return ApiError(413, words, code="request_too_large", headers={"connection": "close"})


def fields_of(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises `ApiError` 400. For megabytes: call it in a thread."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is not JSON: {error}", code="invalid_json") from error
    if not isinstance(found, dict):
        raise ApiError(400, "the body is not a JSON object", code="invalid_json")
    return found
