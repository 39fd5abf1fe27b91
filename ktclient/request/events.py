"""The events of one long request, as its caller gets them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sent:
    """The whole request has been sent."""


@dataclass(frozen=True)
class Prefilled:
    """The server reports how much of the prompt it has prefilled, in tokens."""

    done: int
    total: int


@dataclass(frozen=True)
class Text:
    """Output as it arrived; `channel` is "answer", "reasoning" or "tool_calls": a JSON list of
    pieces of calls, one list per line."""

    text: str
    channel: str = "answer"


UNKNOWN = "unknown"
"""The finish reason of a server that ended its answer without one."""


@dataclass(frozen=True)
class Completed:
    """The server finished. Token counts are the server's own; None if it reports none."""

    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    thought_tokens: int | None = None
    """Those of `completion_tokens` that were thoughts, if the server says so."""
    thought_fields: tuple[str, ...] = ()
    """The names of the fields in which thoughts came."""
    words: str = ""
    """What the server said besides the answer, if it gave no finish reason."""


@dataclass(frozen=True)
class Quiet:
    """Nothing arrived for a tick."""


@dataclass(frozen=True)
class Came:
    """The request fails; these are the last bytes of the response, as text, of so many in all."""

    bytes: int
    text: str
