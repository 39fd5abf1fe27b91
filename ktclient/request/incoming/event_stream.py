"""The lines and fields of an event stream, by the WHATWG standard ("interpreting an event stream").

Two things are kept that the standard drops, because an answer may have cost half an hour: lines
that are no field of it, and the last block if the blank line after it is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data", b"event", b"id", b"retry", b"error")
"""`error`: llama.cpp reported errors in a field of that name until 2025."""


class Lines:
    """Splits a stream at CR, LF and CRLF, wherever its pieces are cut, and drops a byte order mark
    at its beginning."""

    def __init__(self) -> None:
        self._begun = bytearray()
        self._is_first, self._after_return = True, False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that end in this piece, without their ends."""
        start = 1 if self._after_return and piece.startswith(b"\n") else 0
        if piece:
            self._after_return = piece.endswith(b"\r")
        for end in _LINE_END.finditer(piece, start):
            self._begun += piece[start : end.start()]
            start = end.end()
            yield self._take()
        self._begun += piece[start:]

    def rest(self) -> bytes:
        """The last line, if it has no end; else nothing."""
        return self._take()

    def _take(self) -> bytes:
        line = bytes(self._begun)
        self._begun.clear()
        if self._is_first:
            self._is_first = False
            return line.removeprefix(_BOM)
        return line


@dataclass
class Block:
    """The fields of one event so far. `foreign`: lines in it that are no field; `is_no_whole`: the
    data so far is known not to be an event by itself."""

    event: str = ""
    data: list[bytes] = field(default_factory=list)
    foreign: list[bytes] = field(default_factory=list)
    is_no_whole: bool = False

    @property
    def text(self) -> str:
        """The data, decoded as the standard says: what is no UTF-8 becomes U+FFFD."""
        return b"\n".join(self.data).decode("utf-8", "replace")


def is_comment(line: bytes) -> bool:
    return line.startswith(b":")


def field_of(line: bytes) -> tuple[bytes, bytes] | None:
    """The name and value of a line that is one of the standard's fields; None for others, which
    event parsers skip."""
    name, _, value = line.partition(b":")
    return (name, value.removeprefix(b" ")) if name in _FIELDS else None
