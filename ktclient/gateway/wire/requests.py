"""A request as the routes see it: its gateway, its caller, its body."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import ClientDisconnect, Request

from jobs import parsing
from ktclient.gateway.context import Caller, Gateway
from ktclient.gateway.wire.errors import PERMISSION, ApiError, too_large
from ktclient.wording import reason

CALLER = "ktjob.caller"
"""The key of a request's scope under which `access` puts the `Caller`."""
LEASE = "ktjob.lease"
"""The one under which it puts the memory that the body may take."""

ClientGone = ClientDisconnect
"""What reading a body raises when the client goes before its end."""

SHORT_BYTES = 1_000_000
MOST_VALUES = 2_000_000
"""Of one JSON body. A request with a million tokens as numbers has half of them."""
_SIGNS = (b",", b"[", b"{")
_TEXT = re.compile(rb'"[^"]*(?:"|\Z)')
_ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")
"""How half a character comes: UTF-8 itself has none."""
_HALF = re.compile("[\ud800-\udfff]")


def gateway_of(request: Request) -> Gateway:
    """The gateway that got it."""
    found: Gateway = request.app.state.gateway
    return found


def caller_of(request: Request) -> Caller:
    """Who sent it."""
    found: Caller = request.scope[CALLER]
    return found


def require_admin(request: Request) -> None:
    """Raise `ApiError` 403 for a key that sees only its own: for what counts or shows all."""
    if caller_of(request).sees is not None:
        words = "this needs an admin's key: ktjob serve keys add NAME --admin"
        raise ApiError(403, words, PERMISSION, "admin_key_needed")


async def body_of(request: Request, *, most: int | None = None) -> bytes:
    """The whole body. Raises `ApiError`: 413 for more bytes than `most` or the gateway's limit, 408
    for a client that sends too slowly, 503 while other bodies fill the memory."""
    lease, announced = request.scope[LEASE], request.headers.get("content-length", "")
    parts, size, taken = [], 0, int(announced) if announced.isdecimal() else 0
    if most is not None and taken > most:
        raise too_large(most)
    await lease.take(taken)
    async for part in request.stream():
        size += len(part)
        if most is not None and size > most:
            raise too_large(most)
        if size > taken:  # it is not announced
            await lease.take(size - taken)
            taken = size
        parts.append(part)
    return b"".join(parts)


def fields_of(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises `ApiError` 400. For megabytes: call it in a thread."""
    try:
        _check_values(body)
        found = parsing.of_json(body.decode("utf-8-sig"))
    except ValueError as error:
        said = f"is not JSON: {reason(error)}"
        if isinstance(error, parsing.Unusable):
            said = f"cannot be used: {error}"
        raise ApiError(400, f"the body {said}", code="invalid_json") from error
    if not isinstance(found, dict):
        raise ApiError(400, "the body is not a JSON object", code="invalid_json")
    if _ESCAPED.search(body):
        _check_characters(found)
    return found


def _check_characters(value: object, where: str = "") -> None:
    """Raise `ApiError` with the field where a text has half a character: it can be neither stored
    nor shown, wherever it is."""
    if isinstance(value, str) and _HALF.search(value):
        words = "this is not text: it contains a lone surrogate, which is no character"
        said = f"{where or 'the body'}: {words}"
        raise ApiError(400, said, code="invalid_json", param=where or None)
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_characters(name, where)
            _check_characters(inner, f"{where}.{name}" if where else name)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            _check_characters(inner, f"{where}[{place}]")


async def short_fields_of(request: Request) -> dict[str, Any]:
    """The JSON object of a request that has no documents: parsed at once, so of at most
    `SHORT_BYTES`. Raises `ApiError` 400, 408 and 413."""
    return fields_of(await body_of(request, most=SHORT_BYTES))


def _check_values(body: bytes) -> None:
    """Raise `Unusable` for more values than a request needs: each takes a hundred bytes of memory,
    and two of the body. In linear time, and without many objects."""
    if sum(map(body.count, _SIGNS)) <= MOST_VALUES:
        return
    text = body.replace(b"\\\\", b"").replace(b'\\"', b"")  # so each quote begins or ends a text
    count, at = 0, 0
    for found in _TEXT.finditer(text):
        count += 1 + sum(text.count(sign, at, found.start()) for sign in _SIGNS)
        at = found.end()
        if count > MOST_VALUES:
            break
    if count + sum(text.count(sign, at) for sign in _SIGNS) > MOST_VALUES:
        raise parsing.Unusable(f"it has more than {MOST_VALUES:,} values")
