"""The end of a log in bounded memory, whatever is given as a log: a pipe without end, a file of a
terabyte, one line of a gigabyte.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from server_bundle.logs.stages import LONGEST_LINE

MOST_BYTES = 32 << 20
"""Of the end that is used. ktserver rotates a log at 32 MB."""
MOST_LINES = 500_000
"""Of these bytes. Each update of a progress bar is one. Usual lines have a hundred bytes."""
READ_BYTES = 4 << 30
"""What is read in order to get to the end: of a pipe there is no other way."""
_BLOCK = 1 << 20
_CHARACTER_BYTES = 4


@dataclass(frozen=True)
class Tail:
    """The end of a log."""

    content: bytes = field(repr=False)
    is_whole: bool
    """Whether this is all of the log."""
    has_end: bool = True
    """False if reading was stopped before the end of the log."""
    lines_before: int | None = 0
    """How many lines come before; None if they were not counted."""

    def lines(self) -> Iterator[str]:
        """Its lines, of each so much as is used. Only \\n ends a line: the \\r of a progress bar
        must not shift line numbers."""
        at = 0
        while at < len(self.content):
            end = self.content.find(b"\n", at)
            end = len(self.content) if end < 0 else end
            used = self.content[at : min(end, at + LONGEST_LINE * _CHARACTER_BYTES)]
            yield used.decode(errors="replace")
            at = end + 1


def of(file: BinaryIO) -> Tail:
    """The end of an open file, which is read from its start. Raises `OSError`."""
    status = os.fstat(file.fileno())
    is_counted = not stat.S_ISREG(status.st_mode) or status.st_size <= READ_BYTES
    if not is_counted:
        file.seek(status.st_size - MOST_BYTES)
    kept = _Kept()
    has_end = _read(file, kept)
    content = b"".join(kept.blocks)
    start = _start(content)
    is_whole = is_counted and not kept.has_dropped and not start
    if not is_whole:  # begin with a whole line, if there is one
        start = content.find(b"\n", start) + 1 or start
    before = kept.lines_dropped + content.count(b"\n", 0, start)
    return Tail(content[start:], is_whole, has_end, before if is_counted else None)


@dataclass
class _Kept:
    """The last blocks of what was read, and the number of lines before them."""

    blocks: deque[bytes] = field(default_factory=deque)
    has_dropped: bool = False
    lines_dropped: int = 0
    _size: int = 0

    def add(self, block: bytes) -> None:
        self.blocks.append(block)
        self._size += len(block)
        while self._size - len(self.blocks[0]) >= MOST_BYTES:
            first = self.blocks.popleft()
            self._size -= len(first)
            self.has_dropped = True
            self.lines_dropped += first.count(b"\n")


def _read(file: BinaryIO, kept: _Kept) -> bool:
    """Whether the end was reached."""
    read = 0
    while read < READ_BYTES:
        block = file.read(_BLOCK)
        if not block:
            return True
        kept.add(block)
        read += len(block)
    return not file.read(1)


def _start(content: bytes) -> int:
    """Where the last `MOST_LINES` lines begin, or a little later; 0 if there are no more."""
    at, lines = len(content), 0
    while at > 0:
        at = max(0, at - _BLOCK // 16)
        lines += sum(content.count(end, at, at + _BLOCK // 16) for end in (b"\n", b"\r"))
        if lines > MOST_LINES:
            return at + _BLOCK // 16
    return 0
