"""Reading a log while it is written: every new line once, across rotations."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

BLOCK = 1 << 18
"""Bytes per read."""
MOST_IN_LINE = 1 << 20
"""Bytes. A longer line is a logged prompt, and is skipped."""
_HEAD = 64
"""How many bytes at the beginning identify a file, to notice that it was truncated and refilled."""
_END = re.compile(rb"[\n\r]+")
"""Progress bars end their lines with \\r alone."""


class Follower:
    """The lines of one file, from its beginning or from its last `last` bytes on.

    After a rename with a new file (logrotate's `create`), the old file is read to its end first. A
    file that shrinks or has another beginning (`copytruncate`) is read from its beginning. Lines
    that are written and truncated between two reads are lost. A line is returned once it is
    complete. Not thread-safe.
    """

    def __init__(self, path: Path, last: int | None = None) -> None:
        self._path = path
        self._last = last
        self._file: BinaryIO | None = None
        self._head = b""
        self._rest = b""
        self._skips = False

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def begin(self) -> bool:
        """Fix the position to read from now. False when there is no file yet: it will then be read
        from its beginning. Raises OSError for a file that cannot be read."""
        if self._file is None:
            self._open(self._last)
            self._last = None
        return self._file is not None

    def lines(self) -> Iterator[str]:
        """The complete lines since the last call, without line ends; bytes that are not UTF-8 are
        replaced. Raises OSError for a file that cannot be read."""
        if not self.begin():
            return
        yield from self._new()
        while self._is_replaced():
            if self._rest and not self._skips:
                yield _text(self._rest)
            self.close()
            self._open(None)
            if self._file is None:
                return
            yield from self._new()

    def _open(self, last: int | None) -> None:
        self._rest, self._skips, self._head = b"", False, b""
        with contextlib.suppress(FileNotFoundError):
            self._file = self._path.open("rb", buffering=0)
        if self._file is None or last is None:
            return
        start = max(0, os.fstat(self._file.fileno()).st_size - last)
        if start > 0:
            before = os.pread(self._file.fileno(), 1, start - 1)
            self._skips = before not in (b"\n", b"\r")  # skip the rest of a line
        self._file.seek(start)

    def _new(self) -> Iterator[str]:
        assert self._file is not None
        self._begin_again_if_emptied(self._file)
        while block := self._file.read(BLOCK):
            yield from self._complete(block)

    def _complete(self, block: bytes) -> Iterator[str]:
        *whole, rest = _END.split(block)
        if whole:
            first, *others = whole
            if not self._skips and len(self._rest) + len(first) <= MOST_IN_LINE:
                yield from _unless_empty(self._rest + first)
            for line in others:
                yield from _unless_empty(line)
            self._rest, self._skips = rest, False
        elif not self._skips:
            self._rest += rest
        if len(self._rest) > MOST_IN_LINE:
            self._rest, self._skips = b"", True

    def _begin_again_if_emptied(self, file: BinaryIO) -> None:
        number, at = file.fileno(), file.tell()
        head = os.pread(number, _HEAD, 0)
        is_shorter = os.fstat(number).st_size < at
        # A writer without O_APPEND continues at its old position, after a hole of null bytes, and
        # the reader can continue there too.
        is_other = not head.startswith(self._head) and head.strip(b"\0") != b""
        if is_shorter or is_other:
            file.seek(0)
            self._rest, self._skips = b"", False
        self._head = head

    def _is_replaced(self) -> bool:
        """Whether the path is another file by now. A missing file may still be created."""
        assert self._file is not None
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        ours = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)


def _unless_empty(line: bytes) -> Iterator[str]:
    if line:
        yield _text(line)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")
