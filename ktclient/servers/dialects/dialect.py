"""What differs between servers that all speak OpenAI's chat completions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import httpx2

Progress = Literal["metrics", "loads", "stream"]
"""Where the progress of a prefill can be read."""


@dataclass(frozen=True)
class ServerFacts:
    """What a probe learned; None is unknown. `url` is the root, without /v1; `window` in tokens.
    All after `window` comes only from `calls.survey`, which may have to wait for a chunk."""

    url: str
    dialect: str
    model: str
    window: int | None
    pool: int | None = None
    """KV tokens for all requests together."""
    max_running: int | None = None
    chunk: int | None = None
    """Tokens prefilled between two looks at the world."""
    page: int | None = None
    has_prefix_cache: bool | None = None
    progress: Progress | None = None
    is_busy: bool | None = None
    """Whether it worked for anybody when it was asked; also, unanswered, when it is overdue."""
    running: int | None = None
    """Requests that it served then. One whose prompt is still read counts in neither list of
    sglang's: `is_busy` knows of it."""
    waiting: int | None = None
    """Requests in its queue then."""


class Dialect(Protocol):
    """One kind of server."""

    name: str
    pulse_path: str
    """What it answers at once, also in the middle of a prefill."""

    def extras(self, rid: str) -> dict[str, object]:
        """Fields to add to a chat request, beyond OpenAI's."""

    def count(self, http: httpx2.Client, url: str, model: str, message: str) -> int | None:
        """Prompt tokens of one user message with the chat template; None when it cannot say."""

    def survey(self, http: httpx2.Client, facts: ServerFacts, patience: float) -> ServerFacts:
        """The same facts and all that the server tells within `patience` seconds a question."""

    def is_silent(self, http: httpx2.Client, url: str) -> bool | None:
        """Whether it computes nothing for anybody now; None when it cannot say."""

    def abort(self, http: httpx2.Client, url: str, rid: str) -> bool:
        """Ask the server to stop a request; False when only closing the connection does."""
