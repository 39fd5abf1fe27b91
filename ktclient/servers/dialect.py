"""What differs between servers that all speak OpenAI's chat completions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import httpx2


@dataclass(frozen=True)
class ServerFacts:
    """What a probe learned. `url` is the root, without /v1; `window` in tokens, None unknown."""

    url: str
    dialect: str
    model: str
    window: int | None


class Dialect(Protocol):
    """One kind of server."""

    name: str
    pulse_path: str
    """What it answers at once, also in the middle of a prefill."""

    def extras(self, rid: str) -> dict[str, object]:
        """Fields to add to a chat request, beyond OpenAI's."""

    def count(self, http: httpx2.Client, url: str, model: str, message: str) -> int | None:
        """Prompt tokens of one user message with the chat template; None when it cannot say."""

    def is_silent(self, http: httpx2.Client, url: str) -> bool | None:
        """Whether it computes nothing for anybody now; None when it cannot say."""

    def abort(self, http: httpx2.Client, url: str, rid: str) -> bool:
        """Ask the server to stop a request; False when only closing the connection does."""
