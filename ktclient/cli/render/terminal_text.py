"""Text that is safe on a terminal, and as wide as it has to be."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence

from ktclient.cli.render import terminal

_HARMLESS = "\n\t\u00ad\u200c\u200d"
"""Characters of Unicode's control and format categories that are kept: line ends, tabs, soft
hyphens, and the joiners that Persian, Indic scripts and compound emoji need."""


_FIRST_COLUMN = r" {2,}(?:[A-Za-z]+(?: [a-z]+)? {2,})?|[A-Za-z]+(?: [a-z]+)? {2,}"
COMFORTABLE = 100
"""The longest line of running text, in cells, however wide the terminal is."""
_CODE_FENCE = "```"
_NOT_PROSE = ("    ", "\t", "|", _CODE_FENCE)
"""What begins a line of code or of a table in Markdown."""
_CLOSING = ("Pe", "Pf", "Po")
"""Categories of characters that do not begin a line: brackets and quotes that close, full stops."""
_OPENING = ("Ps", "Pi")
"""Those of characters that do not end one."""
_NO_PLACE = ("Mn", "Me", "Cf")


def wrapped(line: str, room: int) -> str:
    """Break a line between words, and between wide characters, whose scripts have no blanks.
    Continuation lines start under its second column, if any."""
    if width(line) <= room:
        return line
    import re

    head = re.match(_FIRST_COLUMN, line)
    indent = len(head[0]) if head else 0
    lines, used = [line[:indent]], indent
    for number, word in enumerate(line[indent:].split(" ")):
        for place, piece in enumerate(_pieces(word)):
            gap = " " if number and not place and used > indent else ""
            size = width(piece)
            if used > indent and used + len(gap) + size > room:
                lines.append(" " * indent)
                used, gap = indent, ""
            lines[-1] += gap + piece
            used += len(gap) + size
    return "\n".join(lines)


def wrapped_prose(text: str, room: int) -> str:
    """Break the lines of an answer in Markdown, without those of code and of tables."""
    lines, is_code = [], False
    for line in text.split("\n"):
        is_kept = is_code or line.startswith(_NOT_PROSE)
        is_code ^= line.startswith(_CODE_FENCE)
        lines.append(line if is_kept else wrapped(line, room))
    return "\n".join(lines)


def _pieces(word: str) -> list[str]:
    """A word where it may be broken: at each wide character, with its punctuation."""
    if word.isascii():
        return [word]
    pieces = [""]
    for character in word:
        last = pieces[-1][-1:]
        is_break = last and (_is_wide(character) or _is_wide(last))
        is_bound = _is_of(character, *_CLOSING, *_NO_PLACE) or (last and _is_of(last, *_OPENING))
        if is_break and not is_bound:
            pieces.append(character)
        else:
            pieces[-1] += character
    return pieces


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _is_of(character: str, *categories: str) -> bool:
    return unicodedata.category(character) in categories


def safe(text: str) -> str:
    """The text without characters that could control a terminal: model output and file names are
    not trusted."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in _HARMLESS or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def one_line(text: str) -> str:
    """The safe text on one line; runs of blanks become one blank."""
    return " ".join(safe(text).split())


def table(rows: Sequence[Sequence[str]], *, before: int = 0) -> str:
    """Align columns by display width; on a terminal, lines are cut to its width, less `before`
    cells."""
    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True))
        for row in rows
    ]
    most = terminal.columns()
    cut = (
        line if most is None else shortened(line, most - before) for line in map(str.rstrip, lines)
    )
    return "\n".join(cut)


def width(text: str) -> int:
    """Width in terminal cells: 2 for a wide character, 0 for an accent or a variation selector."""
    if text.isascii():
        return len(text)
    return sum(2 if _is_wide(one) else 1 for one in text if not _is_of(one, *_NO_PLACE))


def shortened(text: str, room: int, *, in_middle: bool = False) -> str:
    """Shorten the text to `room` cells, with an ellipsis at its end, or in its middle so that a
    name keeps its extension."""
    if width(text) <= room:
        return text
    sign = ellipsis()
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


def ellipsis() -> str:
    """The sign for what was left out."""
    return _glyph("…", "~")


def bar(share: float, cells: int) -> str:
    """A progress bar; `share` is 0 to 1."""
    filled = int(share * cells)
    return _glyph("█", "#") * filled + _glyph("░", ".") * (cells - filled)


def _glyph(glyph: str, plain: str) -> str:
    """The glyph if stdout's encoding has it, else `plain`."""
    try:
        glyph.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return plain
    return glyph
