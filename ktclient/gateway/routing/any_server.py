"""Which of all servers a chat gets (`any`), by what they said lately.

They are asked in the background, so that one that is dead delays no chat: only the first chat after
a quiet minute waits for them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from ktclient.config.settings import Settings
from ktclient.errors import ModelUnknown
from ktclient.planning.several import choice, reports
from ktclient.planning.several.choice import Choice, Need, Several
from ktclient.planning.several.reports import ServerReport
from ktclient.request.body import Body
from ktclient.submission import chat_request, prefix
from ktclient.tokens import estimate
from ktclient.wording import quote

FRESH_SECONDS = 5.0
"""How long what the servers said is used without another question."""
TRUSTED_SECONDS = 60.0
"""How long it is used while they are asked again."""


class AnyServer:
    """Of one gateway. Callable in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: Sequence[ServerReport] = ()
        self._asked_at = float("-inf")
        self._is_asking = False

    def choose(self, settings: Settings, body: Body, model: str | None, most: int | None) -> Choice:
        """The server for a body, and those that may take it instead. `most`: tokens of its answer,
        where it sets no limit. Raises `ConnectionRefused` and `ModelUnknown`."""
        several = choice.among(self._reports(settings), settings)
        listing = [one for one in several.servers if choice.serves(one, model)]
        if model is not None and several.servers and not listing:
            raise ModelUnknown(f"there is no model {quote(model)} on any server")
        return several.take(_need(body, most, several, settings), model)

    def drop(self) -> None:
        """Ask again: one of them is not as it said."""
        with self._lock:
            self._asked_at = float("-inf")

    def _reports(self, settings: Settings) -> Sequence[ServerReport]:
        with self._lock:
            age = time.monotonic() - self._asked_at
            if age < FRESH_SECONDS or (age < TRUSTED_SECONDS and self._is_asking):
                return self._found
            self._is_asking = True
        if age < TRUSTED_SECONDS:
            threading.Thread(target=self._ask, args=(settings,), daemon=True).start()
            return self._found
        return self._ask(settings)

    def _ask(self, settings: Settings) -> Sequence[ServerReport]:
        try:
            found = reports.read(settings)
        finally:
            self._is_asking = False
        with self._lock:
            self._found, self._asked_at = found, time.monotonic()
        return found


def _need(body: Body, most: int | None, several: Several, settings: Settings) -> Need:
    text = body.text
    tokens = estimate.estimate(text).likely
    begins = prefix.of_fields(body)
    is_long = tokens >= choice.LONG_TOKENS
    return Need(
        tokens,
        body.max_tokens or most or chat_request.LEAST_USUAL_ANSWER,
        prefix.of_body(body),
        choice.read_at(several, text, begins, settings) if is_long else frozenset(),
    )
