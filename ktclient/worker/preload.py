"""Import and build everything that a worker needs once in the runner, before it forks.

openai, pydantic and httpx2 load and build much of themselves at the first request. In each worker
that costs 15 MB per request; in the runner the pages are shared. A complete small request runs over
a transport that answers from memory: no connection, no thread.
"""

from __future__ import annotations

import json
import socket

from ktclient.documents import turn_marks
from ktclient.request import connection, stream
from ktclient.servers import probe

_URL = "http://127.0.0.1"
_CHUNKS: tuple[dict[str, object], ...] = (
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
    {"choices": [{"index": 0, "delta": {"content": "x"}}], "prompt_progress": {"total": 1}},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {
        "choices": [],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 1,
            "total_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    },
)
_MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "warm"}]}


def preload() -> None:
    """Run one probe and one streamed request, answered from memory."""
    turn_marks.of_model()  # reads the table, which an upgrade may replace under a worker
    connection.long_client(_URL, lambda step, sock: None, 1).close()  # loads the real transport
    socket.getaddrinfo("127.0.0.1", 80)  # loads the codec for host names; sends no query
    with connection.answering_client(_MODELS_BODY, "application/json") as client:
        probe.parse(_URL, client.get(f"{_URL}/v1/models"), None)
    with connection.answering_client(_STREAM_BODY, "text/event-stream") as client:
        api = stream.make_api(_URL, client, None)
        chunks = api.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "x"}],
            max_tokens=1,
            stream=True,
            stream_options={"include_usage": True},
        )
        for chunk in chunks:
            chunk.model_extra  # noqa: B018 - built on first use


def _event(chunk: dict[str, object]) -> str:
    common = {"id": "0", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    return f"data: {json.dumps({**common, **chunk})}\n\n"


_MODELS_BODY = json.dumps(_MODELS).encode()
_STREAM_BODY = "".join([*(_event(chunk) for chunk in _CHUNKS), "data: [DONE]\n\n"]).encode()
