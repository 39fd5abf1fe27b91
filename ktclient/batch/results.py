"""Write results in OpenAI's Batch format, one JSON object per line. Pure.

(platform.openai.com/docs/api-reference/batch/request-output: id, custom_id, response with
status_code, request_id and body, error with code and message; one of the two is null, except in the
line of a request that was answered with nothing but thoughts.)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from jobs.model import Piece
from ktclient.answers import thoughts
from ktclient.answers.stretches import ANSWER_CHANNEL, THOUGHTS_CHANNEL
from ktclient.batch import tool_calls
from ktclient.errors import EmptyAnswer


@dataclass(frozen=True)
class Answered:
    """The data of an answered request."""

    job_id: str
    rid: str
    """The attempt's name on the server."""
    created: int
    """When its answer ended, in seconds since 1970."""
    text: str = field(repr=False)
    reasoning: str = field(default="", repr=False)
    tool_calls: str = field(default="", repr=False)
    """The received pieces of tool calls, one JSON list per line."""
    figures: dict[str, Any] = field(default_factory=dict)
    """Its attempt's model, finish_reason, token counts and names of fields of thoughts."""

    @property
    def has_output(self) -> bool:
        """Whether the server sent any output."""
        return bool(self.text or self.reasoning or self.tool_calls)

    @property
    def has_words(self) -> bool:
        """Whether there is a word of an answer, or a call of a tool."""
        thought = Piece(1, THOUGHTS_CHANNEL, self.reasoning)
        answer = Piece(2, ANSWER_CHANNEL, self.text)
        return bool(self.tool_calls) or thoughts.divide([thought, answer]).has_words


def answered(custom_id: str, told: Answered) -> str:
    """The result line of an answered request."""
    return answered_with(custom_id, told, body(told))


def answered_with(custom_id: str, told: Answered, answer: dict[str, object]) -> str:
    """The same with the body of another interface."""
    response = {"status_code": 200, "request_id": told.rid, "body": answer}
    return _line(told.job_id, custom_id, response, None)


def only_thoughts(custom_id: str, told: Answered, message: str) -> str:
    """The result line of a request whose output has no word of an answer: an error, and the whole
    message as the server sent it."""
    response = {"status_code": 200, "request_id": told.rid, "body": body(told)}
    error = {"code": EmptyAnswer.cause, "message": message}
    return _line(told.job_id, custom_id, response, error)


def failed(job_id: str, custom_id: str, code: str, message: str) -> str:
    """The result line of a failed request; `code` is its job's cause."""
    return _line(job_id, custom_id, None, {"code": code, "message": message})


def _line(job_id: str, custom_id: str, response: object, error: object) -> str:
    line = {"id": f"batch_req_{job_id}", "custom_id": custom_id}
    text = json.dumps({**line, "response": response, "error": error}, ensure_ascii=False)
    # A call's arguments come in pieces, which may be cut within a character.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def body(told: Answered) -> dict[str, object]:
    """The body that the server would have returned without streaming."""
    calls = tool_calls.joined(told.tool_calls)
    legacy = tool_calls.legacy(told.tool_calls)
    content = told.text if told.text or not (calls or legacy) else None
    message: dict[str, object] = {"role": "assistant", "content": content}
    if told.reasoning:
        names = told.figures.get("thought_fields") or ["reasoning_content"]
        message.update(dict.fromkeys(names, told.reasoning))
    if calls:
        message["tool_calls"] = calls
    if legacy:
        message[tool_calls.LEGACY] = legacy
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
        "usage": usage(told.figures),
    }


def usage(figures: dict[str, Any]) -> dict[str, object] | None:
    """The tokens that the server counted; None if it reported none."""
    read, written = figures.get("prompt_tokens"), figures.get("completion_tokens")
    if read is None or written is None:
        return None
    usage: dict[str, object] = {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }
    details = {
        "prompt_tokens_details": {"cached_tokens": figures.get("cached_tokens")},
        "completion_tokens_details": {"reasoning_tokens": figures.get("thought_tokens")},
    }
    return {
        **usage,
        **{name: one for name, one in details.items() if None not in one.values()},
    }
