"""Any other server that speaks OpenAI's chat completions."""

from __future__ import annotations

import httpx2

from ktclient.servers.dialects.dialect import ServerFacts

NAME = "openai-compatible"


class Plain:
    """Sends nothing beyond the protocol: strict servers refuse unknown fields."""

    name = NAME
    pulse_path = "/v1/models"

    def extras(self, rid: str) -> dict[str, object]:
        return {}

    def count(self, http: httpx2.Client, url: str, model: str, message: str) -> int | None:
        return None

    def survey(self, http: httpx2.Client, facts: ServerFacts, patience: float) -> ServerFacts:
        return facts

    def is_silent(self, http: httpx2.Client, url: str) -> bool | None:
        return None

    def abort(self, http: httpx2.Client, url: str, rid: str) -> bool:
        return False
