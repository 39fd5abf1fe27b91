"""Text that is safe on a terminal, and as wide as it has to be."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence

from ktclient.cli.render import terminal

_HARMLESS = "\n\t\u00ad\u200c\u200d"
"""Of what Unicode calls control and format: line ends, tabs, soft hyphens, and the joiners without
which Persian, Indic scripts and families of emoji fall apart."""


_FIRST_COLUMN = r" {2,}(?:[A-Za-z]+(?: [a-z]+)? {2,})?"


_NO_PLACE = ("Mn", "Me", "Cf")


def wrapped(line: str, room: int) -> str:
    """A line broken between words, what follows under its second column where it has one."""
    if width(line) <= room:
        return line
    import re

    head = re.match(_FIRST_COLUMN, line)
    indent = len(head[0]) if head else 0
    lines = [line[:indent]]
    for word in line[indent:].split(" "):
        is_first = len(lines[-1]) == indent
        if not is_first and width(f"{lines[-1]} {word}") > room:
            lines.append(" " * indent)
            is_first = True
        lines[-1] += word if is_first else f" {word}"
    return "\n".join(lines)


def safe(text: str) -> str:
    """The text without characters that could steer a terminal: model output and file names are
    not ours."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in _HARMLESS or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def one_line(text: str) -> str:
    """Safe, and without line ends: for names."""
    return " ".join(safe(text).split())


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned by display width, cut to the terminal's when there is one."""
    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True))
        for row in rows
    ]
    most = terminal.columns()
    cut = (line if most is None else shortened(line, most) for line in map(str.rstrip, lines))
    return "\n".join(cut)


def width(text: str) -> int:
    """Places on a terminal: two of a wide character, none of an accent or a variation selector."""
    if text.isascii():
        return len(text)
    seen = (one for one in text if unicodedata.category(one) not in _NO_PLACE)
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in seen)


def shortened(text: str, room: int, *, in_middle: bool = False) -> str:
    """The text in so many places, with a sign where something was left out: at its end, or in its
    middle, so that a name keeps its extension."""
    if width(text) <= room:
        return text
    sign = _glyph("…", "~")
    tail = "" if not in_middle else _from_end(text, (room - 1) // 3)
    left = room - 1 - width(tail)
    head = text[: max(0, left)]
    while head and width(head) > left:
        head = head[:-1]
    return f"{head}{sign}{tail}"


def _from_end(text: str, room: int) -> str:
    tail = text[-room:] if room else ""
    while tail and (width(tail) > room or unicodedata.category(tail[0]) in _NO_PLACE):
        tail = tail[1:]
    return tail


def bar(share: float, cells: int) -> str:
    """How much of a whole is there."""
    filled = int(share * cells)
    return _glyph("█", "#") * filled + _glyph("░", ".") * (cells - filled)


def _glyph(glyph: str, plain: str) -> str:
    """The glyph, where stdout's encoding has it."""
    try:
        glyph.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return plain
    return glyph
