"""Results in OpenAI's Batch format, a JSON object a line. Pure.

(platform.openai.com/docs/api-reference/batch/request-output: id, custom_id, response with
status_code, request_id and body, error with code and message; one of the two is null.)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answered:
    """What is known of a request that was answered."""

    job_id: str
    rid: str
    """By which the server knew it."""
    created: int
    """Seconds since 1970, of its answer's end."""
    text: str = field(repr=False)
    reasoning: str = field(default="", repr=False)
    tool_calls: str = field(default="", repr=False)
    """Pieces of them as they came, a JSON list a line."""
    figures: dict[str, Any] = field(default_factory=dict)
    """Of its attempt: model, finish_reason, token counts."""


def answered(custom_id: str, told: Answered) -> str:
    """The line of a request that was answered."""
    response = {"status_code": 200, "request_id": told.rid, "body": _body(told)}
    return _line(told.job_id, custom_id, response, None)


def failed(job_id: str, custom_id: str, code: str, message: str) -> str:
    """The line of one that was not; `code` is the cause of its job."""
    return _line(job_id, custom_id, None, {"code": code, "message": message})


def _line(job_id: str, custom_id: str, response: object, error: object) -> str:
    line = {"id": f"batch_req_{job_id}", "custom_id": custom_id}
    return json.dumps({**line, "response": response, "error": error}, ensure_ascii=False)


def _body(told: Answered) -> dict[str, object]:
    """As the server would have answered a request that is not streamed."""
    calls = merged(told.tool_calls)
    content = told.text if told.text or not calls else None
    message: dict[str, object] = {"role": "assistant", "content": content}
    if told.reasoning:
        message["reasoning_content"] = told.reasoning
    if calls:
        message["tool_calls"] = calls
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": told.figures.get("finish_reason"),
    }
    return {
        "id": f"chatcmpl-{told.rid}",
        "object": "chat.completion",
        "created": told.created,
        "model": told.figures.get("model"),
        "choices": [choice],
        "usage": _usage(told.figures),
    }


def _usage(figures: dict[str, Any]) -> dict[str, object] | None:
    """Null where the server told none."""
    read, written = figures.get("prompt_tokens"), figures.get("completion_tokens")
    if read is None or written is None:
        return None
    usage = {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }
    cached = figures.get("cached_tokens")
    return (
        usage if cached is None else {**usage, "prompt_tokens_details": {"cached_tokens": cached}}
    )


def merged(pieces: str) -> list[dict[str, Any]]:
    """Calls of tools from their pieces: a name and an id come once, arguments bit by bit."""
    calls: dict[int, dict[str, Any]] = {}
    for line in pieces.split("\n"):
        for piece in json.loads(line or "[]"):
            at = piece.get("index")
            place = at if isinstance(at, int) else max(calls, default=0)
            call = calls.setdefault(place, {"id": None, "type": "function", "function": {}})
            call["id"] = piece.get("id") or call["id"]
            told, function = piece.get("function") or {}, call["function"]
            function["name"] = told.get("name") or function.get("name")
            function["arguments"] = function.get("arguments", "") + (told.get("arguments") or "")
    return [calls[place] for place in sorted(calls)]
