"""The last bytes of a response, kept for people: what no program understood, they may."""

from __future__ import annotations

from jobs import known_secrets

KEPT_BYTES = 16_384
_BEFORE_BYTES = 1_024
"""Kept besides: a key that is cut at the beginning would not be known as one."""


class Received:
    """Follows the decompressed bytes of one response; keeps the last `KEPT_BYTES`."""

    def __init__(self) -> None:
        self._last = bytearray()
        self.bytes = 0
        """How many have arrived."""

    def take(self, piece: bytes) -> None:
        self.bytes += len(piece)
        self._last += piece
        if len(self._last) > 4 * KEPT_BYTES:
            del self._last[: -KEPT_BYTES - _BEFORE_BYTES]

    @property
    def text(self) -> str:
        """The last bytes as text, without known keys. What is no UTF-8 is U+FFFD."""
        last = bytes(self._last[-KEPT_BYTES - _BEFORE_BYTES :]).decode("utf-8", "replace")
        return known_secrets.hide_foreign(last)[-KEPT_BYTES:]
