"""How much of a text is base64: pictures and files in characters, which cost a model more tokens
than words and tell it nothing."""

from __future__ import annotations

import re

_RUN = re.compile(r"[A-Za-z0-9+/_-]{60,}={0,2}")
"""Mails have lines of 76, keys of 64, pages and notebooks one line for all."""
_SAMPLE = 4096
_LEAST_CHARACTERS = 2000
_LEAST_SHARE = 0.01


def characters(text: str) -> int:
    """How many characters of a text are base64, without its line ends. Words, numbers in base 16
    and sequences of bases or acids have fewer kinds of characters."""
    return sum(len(run) for run in _RUN.findall(text) if _is_data(run[:_SAMPLE]))


def said(found: int, text: str) -> str:
    """What to say of so many; "" if they do not matter."""
    if found < _LEAST_CHARACTERS or found < _LEAST_SHARE * len(text):
        return ""
    return (
        f"{100 * found // len(text)}% of it is base64 ({found:,} characters): files or pictures "
        "that no model can read there"
    )


def _is_data(run: str) -> bool:
    size = len(run)
    upper = sum("A" <= character <= "Z" for character in run)
    lower = sum("a" <= character <= "z" for character in run)
    digits = sum("0" <= character <= "9" for character in run)
    return upper * 100 >= 15 * size and lower * 100 >= 15 * size and digits * 100 >= 3 * size
