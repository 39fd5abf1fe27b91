"""The chunks of a streamed chat, from the pieces of its job's output. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jobs.model import Piece
from ktclient.batch.tool_calls import CallDeltas

FIRST: dict[str, Any] = {"role": "assistant", "content": ""}
"""The first delta: it tells the id before there is a word."""
_FIELDS = {"answer": "content", "reasoning": "reasoning_content"}


class Differs(Exception):
    """A second attempt says something else than what was sent."""


class Transcript:
    """What one stream has said. A second attempt is followed silently while it says the same."""

    def __init__(self) -> None:
        self.attempt = 0
        self.after = 0
        """The last piece that was taken, of that attempt."""
        self._sent: dict[str, str] = {}
        self._heard: dict[str, int] = {}
        """Characters of the current attempt, by channel."""
        self._calls = CallDeltas()

    def take(self, attempt: int, pieces: Iterable[Piece]) -> Iterator[dict[str, Any]]:
        """The deltas of further pieces of an attempt; all of its pieces, if it is another one than
        before. Raises `Differs`."""
        if attempt != self.attempt:
            self.attempt, self.after, self._heard = attempt, 0, {}
        for piece in pieces:
            self.after = piece.seq
            new = self._new(piece)
            if new:
                yield from self._deltas(piece.channel, new)

    def _new(self, piece: Piece) -> str:
        """The part of its text that was not sent yet."""
        sent = self._sent.get(piece.channel, "")
        start = self._heard.get(piece.channel, 0)
        known = sent[start : start + len(piece.text)]
        if not piece.text.startswith(known):
            raise Differs
        new = piece.text[len(known) :]
        self._heard[piece.channel] = start + len(piece.text)
        self._sent[piece.channel] = sent + new
        return new

    def _deltas(self, channel: str, text: str) -> Iterator[dict[str, Any]]:
        if channel in _FIELDS:
            yield {_FIELDS[channel]: text}
        else:
            yield from self._calls.of(text)

    def is_whole(self) -> bool:
        """Whether the current attempt has said all that was sent."""
        return all(self._heard.get(one, 0) >= len(text) for one, text in self._sent.items())
