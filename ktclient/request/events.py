"""What happens in the course of one long request, as the events that its caller is given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sent:
    """The whole request has gone out; `size` in bytes is not known to the caller's side."""


@dataclass(frozen=True)
class Prefilled:
    """The server says how much of the prompt it has read, in tokens."""

    done: int
    total: int


@dataclass(frozen=True)
class Text:
    """Output as it arrived; `channel` is "answer", "reasoning" or "tool_calls": a JSON list of
    pieces of calls, a line each."""

    text: str
    channel: str = "answer"


@dataclass(frozen=True)
class Completed:
    """The server finished. Token counts are the server's own; None where it tells none."""

    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None


@dataclass(frozen=True)
class Quiet:
    """Nothing arrived for a tick."""
