"""One chat request as sent: what is wrong with it, and how many tokens it has."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from fake_sglang.faults import SERVER_ERROR, Answer, flat_error, json_answer
from fake_sglang.options import Options

Json = dict[str, Any]

# A word with the blanks behind it; outside of ASCII, where words have no blanks, a character.
_WORD = re.compile(r"[^\x00-\x7F]|[^\s\x80-\U0010FFFF]+\s*|\s+", re.ASCII)


class Refused(Exception):
    """The server's own checks found something.

    `is_plain`: found before streaming begins. `is_late`: found by the scheduler, in another
    process, whose refusals reach a stream in another way (chat.py).
    """

    def __init__(self, answer: Answer, is_plain: bool = False, is_late: bool = False) -> None:
        super().__init__(answer.status)
        self.answer = answer
        self.is_plain = is_plain
        self.is_late = is_late

    @property
    def body(self) -> Json:
        """The error as an object."""
        body: Json = json.loads(self.answer.body)
        return body


@dataclass(frozen=True)
class Prompt:
    """A valid request's numbers."""

    body: Json
    text: str
    tokens: int
    max_tokens: int | None

    @property
    def is_streamed(self) -> bool:
        """Whether the answer is wanted as a stream."""
        return bool(self.body.get("stream"))

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        return bool((self.body.get("stream_options") or {}).get("include_usage"))


def words(text: str) -> list[str]:
    """The tokens of an answer; joined, they are the text."""
    return _WORD.findall(text) or [""]


def read(raw: bytes) -> Json:
    """The body as an object; what is not JSON is an uncaught exception in sglang (recorded)."""
    try:
        body = json.loads(raw)
    except ValueError:
        raise Refused(SERVER_ERROR, is_plain=True) from None
    if not isinstance(body, dict) or "messages" not in body:
        raise Refused(_missing_messages(body), is_plain=True)
    return body


def check(body: Json, options: Options) -> Prompt:
    """Count the tokens, and refuse what sglang refuses, in its order and words (recorded)."""
    temperature = body.get("temperature")
    if temperature is not None and temperature < 0:
        rule = "non-negative" if options.is_kt else "a non-negative finite number"
        raise _refused(f"temperature must be {rule}, got {float(temperature)}.")
    text = "".join(_text(message) for message in body["messages"])
    tokens = max(1, options.count_tokens(text))
    max_tokens = body.get("max_completion_tokens") or body.get("max_tokens")
    _check_lengths(tokens, max_tokens, options)
    if schema(body) is not None and options.grammar == "none":
        # Not recorded; read: scheduler.py and constrained/grammar_manager.py.
        message = (
            "Grammar-based generation (json_schema, regex, ebnf, structural_tag) is not supported "
            "when the server is launched with --grammar-backend none"
        )
        raise _refused(message, is_late=True)
    return Prompt(body, text, tokens, max_tokens)


def schema(body: Json) -> Json | None:
    """The JSON schema that the answer is to follow; None without one."""
    wanted = body.get("response_format") or {}
    if wanted.get("type") != "json_schema":
        return None
    found: Json = wanted["json_schema"]["schema"]
    return found


def answer(body: Json, options: Options) -> str:
    """What is said: the set answer, as each string of an object where a schema asks for one."""
    wanted = schema(body)
    if wanted is None:
        return options.answer
    return json.dumps(
        dict.fromkeys(wanted.get("properties", ()), options.answer), ensure_ascii=False
    )


def _check_lengths(tokens: int, max_tokens: int | None, options: Options) -> None:
    window = options.window
    # Only where --context-length was given (read: serving_chat.py:337); as recorded, only kt's.
    if max_tokens and max_tokens > window and options.is_kt:
        raise _refused(
            f"max_completion_tokens is too large: {max_tokens}."
            f"This model supports at most {window} completion tokens."
        )
    if tokens >= window:
        raise _refused(
            f"The input ({tokens} tokens) is longer than the model's context length "
            f"({window} tokens)."
        )
    if max_tokens and tokens + max_tokens >= window:
        raise _refused(
            f"Requested token count exceeds the model's maximum context length of {window} tokens. "
            f"You requested a total of {tokens + max_tokens} tokens: {tokens} tokens from the "
            f"input messages and {max_tokens} tokens for the completion. Please reduce the number "
            "of tokens in the input messages or the completion to fit within the limit."
        )
    if tokens > options.max_input:
        message = (
            f"Input length ({tokens} tokens) exceeds the maximum allowed length "
            f"({options.max_input} tokens). Use a shorter input or enable --allow-auto-truncate."
        )
        raise _refused(message, is_late=True)


def _refused(message: str, is_late: bool = False) -> Refused:
    answer = json_answer(400, flat_error(400, message, "BadRequestError"))
    return Refused(answer, is_late=is_late)


def _missing_messages(body: Any) -> Answer:
    """FastAPI's validation: before streaming begins, so a plain 400 in both flavours (recorded)."""
    found = {"type": "missing", "loc": ("body", "messages"), "msg": "Field required", "input": body}
    message = f"1 validation error:\n  {found}\n\n    POST /v1/chat/completions [{found}]"
    return json_answer(400, flat_error(400, message, "Bad Request"))


def _text(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return content or ""
