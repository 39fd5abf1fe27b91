"""The interface of a dialect: the differences between servers of OpenAI's chat completions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import httpx2

from ktclient.config.servers import EMBEDDED

Progress = Literal["metrics", "loads", "stream"]
"""Where the progress of a prefill can be read."""


@dataclass(frozen=True)
class ServerFacts:
    """The result of a probe; None is unknown. `url` is the root, without /v1; `window` in tokens.
    All fields after `window` come only from `queries.survey`, which may have to wait for a
    chunk."""

    url: str
    dialect: str
    model: str
    window: int | None
    pool: int | None = None
    """KV tokens for all requests together."""
    max_running: int | None = None
    chunk: int | None = None
    """Tokens prefilled at a time; the server answers queries in between."""
    page: int | None = None
    has_prefix_cache: bool | None = None
    progress: Progress | None = None
    is_busy: bool | None = None
    """Whether it served any client when queried; True also if its answer is overdue."""
    running: int | None = None
    """Requests that it served then. sglang counts a request in prefill neither here nor in
    `waiting`; `is_busy` includes it."""
    waiting: int | None = None
    """Requests in its queue then."""
    is_embedded: bool = False
    """Whether it is the embedded server, which has no key and another URL at each start."""

    engine: str | None = None
    """Which release it is, as far as its answers tell: "sglang 0.5.23", "sglang-kt 0.7". Chat
    templates differ by it."""
    is_asleep: bool | None = None
    """Whether it has unloaded its model for lack of work, and loads it for the next request."""
    models: tuple[str, ...] = field(default=(), compare=False)
    """Names of models for chats that it lists, the first of them the one that it takes by default;
    not all if there are very many."""

    @property
    def whose_key(self) -> str:
        """What `Settings.key_for` is asked for, to query this server."""
        return EMBEDDED if self.is_embedded else self.url


class Dialect(Protocol):
    """One kind of server."""

    name: str
    pulse_path: str
    """A path that it answers immediately, even during a prefill."""

    def extras(self, rid: str) -> dict[str, object]:
        """Fields to add to a chat request, beyond OpenAI's."""

    def count(self, http: httpx2.Client, url: str, model: str, message: str) -> int | None:
        """Prompt tokens of one user message with the chat template; None if unknown."""

    def survey(self, http: httpx2.Client, facts: ServerFacts, patience: float) -> ServerFacts:
        """The same facts and all that the server reports within `patience` seconds per query."""

    def is_silent(self, http: httpx2.Client, url: str) -> bool | None:
        """Whether it computes nothing for any client now; None if unknown."""

    def abort(self, http: httpx2.Client, url: str, rid: str) -> bool:
        """Ask the server to stop a request; False if only closing the connection stops it."""
