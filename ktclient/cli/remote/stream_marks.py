"""Where a stream of text stands, for whoever must take it up again after a cut link."""

from __future__ import annotations

from collections.abc import Callable

_tell: Callable[[dict[str, object]], None] | None = None


def to(tell: Callable[[dict[str, object]], None]) -> None:
    """Have all marks told there; without it nobody hears them."""
    global _tell
    _tell = tell


def attempt(number: int) -> None:
    """What follows on stdout is the text of this attempt, from its beginning."""
    if _tell is not None:
        _tell({"attempt": number})


def live() -> None:
    """What follows on stdout came after the command began."""
    if _tell is not None:
        _tell({"live": True})
