"""Whether the words of an error say that the server took no more requests. Pure.

For errors whose codes say nothing: numbers of a provider's own, or none.
"""

from __future__ import annotations

import re

from ktclient.request.refusals.too_long import plain

_RATE = re.compile(r"\brate ?limit|\btoo many requests\b|\bthrottl")
_BUSY = re.compile(
    r"\b(?:over ?loaded|over capacity|too busy|server (?:is )?busy|queue is full)\b"
    r"|\bcurrently loading\b|\bmaximum pending requests\b|\bservice (?:is )?unavailable\b"
)


def status(words: str) -> int | None:
    """The HTTP status that the words stand for: 429, 503, or None."""
    told = plain(words)
    if _RATE.search(told):
        return 429
    return 503 if _BUSY.search(told) else None
