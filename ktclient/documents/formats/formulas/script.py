"""A superscript or a subscript in characters: `10^6`, `x_(i+1)`, but `1st`."""

from __future__ import annotations

import re

_BARE = re.compile(r"[-\u2212\u2013+]?[^\W_]+(?:[.,][^\W_]+)?|[^\w\s]")
_ORDINAL = re.compile(r"st|nd|rd|th|er|re|ère|ème|eme|e|d|o|a|os|as|mo|ma|№", re.I)
_NUMBER_BEFORE = re.compile(r"(?:\d|\b[IVXLC]+|\bN)$")


def spelled(text: str, *, is_raised: bool, before: str, after: str) -> str:
    """A script by the text on both sides of it, some characters of each."""
    if is_raised and _ORDINAL.fullmatch(text) and _NUMBER_BEFORE.search(before):
        return text
    is_glued = (text[-1:].isdigit() and after[:1].isdigit()) or (
        text[-1:].isalpha() and after[:1].isalpha()
    )
    is_bare = _BARE.fullmatch(text) is not None and not is_glued
    return ("^" if is_raised else "_") + (text if is_bare else f"({text})")
