"""Marks in a text stream, so that the reader can resume it after a broken connection."""

from __future__ import annotations

from collections.abc import Callable

_tell: Callable[[dict[str, object]], None] | None = None


def to(tell: Callable[[dict[str, object]], None]) -> None:
    """Pass all marks to `tell`; before this call they are dropped."""
    global _tell
    _tell = tell


def attempt(number: int) -> None:
    """Mark that stdout continues with the text of this attempt, from its beginning."""
    if _tell is not None:
        _tell({"attempt": number})


def live() -> None:
    """Mark that the text from here on arrived after the command started."""
    if _tell is not None:
        _tell({"live": True})
