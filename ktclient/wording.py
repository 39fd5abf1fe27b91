"""Quote foreign text in messages, and format durations for people."""

from __future__ import annotations

import unicodedata
from typing import TypeVar

from jobs import durations, known_secrets
from ktclient.errors import BadInput

_QUOTE_CHARACTERS = 600
_STEERING = ("Cc", "Cf", "Cs", "Co", "Cn")
"""Controls, writing direction, surrogates, and what no terminal can show."""


def quote(text: str) -> str:
    """Foreign text on one line, shortened, without characters that control a terminal and without
    secrets. They are looked for before the text is cut: half a key is a part of it."""
    words = " ".join(text[: _QUOTE_CHARACTERS * 8].split())
    shown = (c for c in words if c == " " or unicodedata.category(c) not in _STEERING)
    return known_secrets.hide_foreign("".join(shown))[:_QUOTE_CHARACTERS]


def spoken(seconds: float) -> str:
    """A duration as text: "0.3 s", "9 s", "25 min", "1.5 h"."""
    if seconds < 90:
        return f"{durations.rough(seconds)} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun: "1 job", "1,200 jobs". `plural`: if it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def was(number: int) -> str:
    """The verb for so many: "was" or "were"."""
    return "was" if number == 1 else "were"


def reason(error: Exception) -> str:
    """Why a file could not be read or parsed, without Python's own wording and its name."""
    import json

    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 text (byte {error.start + 1})"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON (line {error.lineno}, column {error.colno})"
    return str(error)


def after_time(seconds: float) -> str:
    """The text "after 25 min, " for a sentence; empty below one second."""
    return f"after {spoken(seconds)}, " if seconds >= 1 else ""


MaybeText = TypeVar("MaybeText", str, "str | None")


def typed_text(given: MaybeText, name: str) -> MaybeText:
    """The text unchanged. Raises `BadInput` if it is not valid text; `name` is its option's
    name."""
    if given is not None and any("\ud800" <= one <= "\udfff" for one in given):
        raise BadInput(f"{name} is not valid in this terminal's encoding")
    return given
