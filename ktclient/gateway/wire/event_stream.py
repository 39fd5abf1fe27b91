"""A stream of server-sent events, alive through any silence, and cut rather than closed early.

A stream that ends without its last event is taken for a whole answer by most clients. So the
generator of a stream that cannot go on raises `Cut`, and the connection is dropped without the last
chunk.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping

from starlette.responses import StreamingResponse

HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    # nginx: pass it on at once.
    "x-accel-buffering": "no",
}
COMMENT = b": ktjob\n\n"
"""Keeps a connection alive, and no client shows it."""
DONE = b"data: [DONE]\n\n"


class Cut(Exception):
    """The stream ends here without its end, so that the client knows that something is missing."""


def event(data: object, name: str | None = None) -> bytes:
    """One event, to be written at once: a parser may forget half an event. Never with `id:` or
    `retry:`, which confuse openai's clients."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    head = f"event: {name}\n" if name else ""
    # A lone surrogate of a model's cut character cannot be encoded.
    return f"{head}data: {text}\n\n".encode("utf-8", "replace")


def response(events: AsyncIterator[bytes], headers: Mapping[str, str]) -> StreamingResponse:
    """The answer that sends these events, its headers at once."""
    return StreamingResponse(events, headers={**HEADERS, **headers})
