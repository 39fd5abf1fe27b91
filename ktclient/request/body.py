"""One request body of /v1/chat/completions, as the user wrote it: check it, get the text to count,
and build what is sent. Pure.

Unknown fields are sent to the server unchanged. What cannot come back through a stream of one text
(several choices, log probabilities) and what cannot be counted (images) is refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ktclient.documents.turn_marks import TurnMarks
from ktclient.request import body_marks
from ktclient.wording import quote

URL = "/v1/chat/completions"
BETWEEN = "\n\n"
"""Between two texts of a body, where a chat template has more."""
_CALLS = ("tool_calls", "function_call")
_INSTEAD = (*_CALLS, "refusal")
"""What a turn of the assistant may have instead of content."""
_PARTS = ("text", "refusal")
"""The types of parts that are text; each is in a field of that name."""
_OURS = ("messages", "model", "max_tokens", "stream", "stream_options", "rid")
"""Fields that ktjob sets itself: streaming with usage, the attempt's rid, a token limit."""
_THINKING = ("chat_template_kwargs", "reasoning_effort", "thinking", "reasoning")
"""If one of these is present, ktjob adds nothing about thinking."""
_NO_EFFORT = "none"
_MOST_LEVELS = 100
"""Of nested values; the schema of a tool has a dozen."""
MOST_TOKENS = 10**9
"""Of an answer, as for --max-tokens; the store takes no number beyond 64 bits."""
_PER_MESSAGE = 8
"""Upper bound for a chat template's tokens around each further message, of all known templates."""


@dataclass(frozen=True)
class Body:
    """A valid body."""

    fields: dict[str, Any] = field(repr=False)

    @classmethod
    def from_bytes(cls, stored: bytes) -> Body:
        return cls(json.loads(stored))

    def to_bytes(self) -> bytes:
        """Compact, in the order of its fields: the same body is the same bytes. Raises `ValueError`
        for a value that is not valid JSON."""
        return json.dumps(
            self.fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        ).encode()

    @property
    def messages(self) -> tuple[dict[str, Any], ...]:
        return tuple(self.fields["messages"])

    @property
    def model(self) -> str | None:
        return self.fields.get("model") or None

    def for_model(self, model: str | None) -> Body:
        """The same body for another model; None: for the server's own."""
        others = {name: value for name, value in self.fields.items() if name != "model"}
        return Body({**others, "model": model} if model else others)

    @property
    def max_tokens(self) -> int | None:
        """The body's own limit; the newer name takes precedence, as in sglang (serving_chat.py)."""
        return self.fields.get("max_completion_tokens") or self.fields.get("max_tokens")

    @property
    def text(self) -> str:
        """All text that the server reads, to be counted, in the order of most chat templates:
        tools, then each message with its calls. So a longer chat begins as it did before."""
        tools = self.fields.get("tools")
        parts = [json.dumps(tools, ensure_ascii=False)] if tools else []
        for message in self.messages:
            parts += _texts(message)
            calls = (message[name] for name in _CALLS if message.get(name))
            parts += [json.dumps(one, ensure_ascii=False) for one in calls]
        return BETWEEN.join(parts)

    @property
    def is_one_text(self) -> bool:
        """Whether a count of `text` can be exact: one user message, and no tools."""
        return (
            len(self.messages) == 1
            and self.messages[0]["role"] == "user"
            and isinstance(self.messages[0].get("content"), str)
            and not self.fields.get("tools")
        )

    @property
    def surplus_tokens(self) -> int:
        """Tokens that the template may add around the messages after the first."""
        return _PER_MESSAGE * (len(self.messages) - 1)

    @property
    def tells_of_thinking(self) -> bool:
        return any(name in self.fields for name in _THINKING)

    @property
    def thinking(self) -> tuple[bool | None, str | None]:
        """Whether it turns thinking on or off, and the effort that it names; None: it does not say,
        or servers read it differently."""
        reasoning, kwargs = self.fields.get("reasoning"), self.fields.get("chat_template_kwargs")
        kwargs = kwargs if isinstance(kwargs, dict) else {}
        efforts = (
            self.fields.get("reasoning_effort"),
            reasoning.get("effort") if isinstance(reasoning, dict) else None,
        )
        effort = next((one for one in efforts if isinstance(one, str)), None)
        switch = kwargs.get("thinking")
        if effort is not None:
            # sglang-kt thinks then whatever the template's arguments say; sglang as they say.
            is_on = None if switch is False and effort != _NO_EFFORT else effort != _NO_EFFORT
        else:
            found = kwargs.get("reasoning_effort")
            effort = found if isinstance(found, str) else None
            is_on = False if effort == _NO_EFFORT else switch if isinstance(switch, bool) else None
        return is_on, None if effort == _NO_EFFORT else effort

    def with_effort(self, effort: str) -> Body:
        """The same body with this effort of thinking."""
        return Body({**self.fields, "reasoning_effort": effort})

    def extras(self, max_tokens: int) -> dict[str, object]:
        """The fields that are sent unchanged; the newer name of max_tokens gets the same value."""
        fields = {name: value for name, value in self.fields.items() if name not in _OURS}
        newer = {"max_completion_tokens": max_tokens} if fields.get("max_completion_tokens") else {}
        return {**fields, **newer}

    def harmless(self, marks: TurnMarks, found: Counter[str]) -> Body:
        """The body without turn marks: as in documents, a mark is data and does not begin another
        speaker's turn. The marks are added to `found`."""
        return Body(body_marks.harmless(self.fields, marks, found))

    def as_before(self) -> Body:
        """The body as earlier versions stored it: to recognise what they have stored."""
        messages = body_marks.messages_as_before(self.fields["messages"])
        return Body({**self.fields, "messages": messages})


@dataclass(frozen=True)
class Problem:
    """What is wrong with a field of a body. `field`: its path, such as "messages[2].content"."""

    field: str
    text: str


def problems(fields: dict[str, Any]) -> list[str]:
    """The problems of a body of a batch file; empty if it is valid."""
    found = [problem.text for problem in faults(fields)]
    if fields.get("stream"):
        found.append("stream is true, but a result is a whole answer; remove it")
    return found


def faults(fields: dict[str, Any]) -> list[Problem]:
    """The problems of a body, whether its answer is streamed or not, each with its field."""
    if _is_deeper(fields, _MOST_LEVELS):
        return [Problem("messages", f"the body is nested more than {_MOST_LEVELS} levels deep")]
    return [*_in_messages(fields.get("messages")), *_in_others(fields)]


def _in_others(fields: dict[str, Any]) -> Iterator[Problem]:
    if fields.get("n") not in (None, 1) or isinstance(fields.get("n"), bool):
        given = quote(json.dumps(fields["n"]))
        yield Problem("n", f"n is {given}, but each request gets one answer")
    for name in ("logprobs", "top_logprobs"):
        if fields.get(name):
            yield Problem(name, "logprobs are not supported: results do not contain them")
            break
    if fields.get("model") is not None and not isinstance(fields["model"], str):
        yield Problem("model", "model is not a string")
    for name in ("max_tokens", "max_completion_tokens"):
        value = fields.get(name)
        if value is not None and (type(value) is not int or value < 1):
            yield Problem(name, f"{name} is not a whole number of at least 1")
        elif value is not None and value > MOST_TOKENS:
            yield Problem(name, f"{name} is more than {MOST_TOKENS:,}")


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether values are nested in more levels than these; each level is looked at once."""
    level: list[Any] = [value]
    for _ in range(levels):
        level = [
            inner
            for one in level
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _in_messages(messages: object) -> Iterator[Problem]:
    if not isinstance(messages, list) or not messages:
        yield Problem("messages", "messages is not a list of at least one message")
        return
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            yield Problem(where, f"{where} is not a message with a role")
            continue
        yield from _in_content(where, message)


def _in_content(where: str, message: dict[str, Any]) -> Iterator[Problem]:
    content, at = message.get("content"), f"{where}.content"
    if isinstance(content, list):
        yield from _in_parts(at, content)
    elif content is not None and not isinstance(content, str):
        yield Problem(at, f"{at} is neither text nor a list of parts")
    elif content is None and not any(message.get(name) for name in _INSTEAD):
        yield Problem(at, f"{where} has no content")
    elif "\0" in (content or ""):
        yield Problem(at, f"{at} is not text: it contains NUL characters")


def _in_parts(where: str, parts: list[object]) -> Iterator[Problem]:
    for place, part in enumerate(parts):
        at = f"{where}[{place}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in _PARTS:
            of_type = f"of type {quote(kind)}" if isinstance(kind, str) else "without a type"
            yield Problem(at, f"{at} is {of_type}; only text can be counted and sent")
        elif not isinstance(part, dict) or not isinstance(part.get(kind), str):
            yield Problem(at, f"{at} has no {kind}")
        elif "\0" in part[kind]:
            yield Problem(at, f"{at} is not text: it contains NUL characters")


def _texts(message: dict[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif content is not None:
        yield from (part[part["type"]] for part in content)
    if isinstance(refusal := message.get("refusal"), str):
        yield refusal
