"""Rotation of the server's log without the server's help, and reading it line by line.

The server appends directly to the file. So its supervisor's death or slowness can neither block the
server nor lose its last lines (a pipe would do both). A long log is therefore copied and then
truncated; a line written in the microseconds between the end of the copy and the truncation is
lost.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from jobs.draft import Draft, prefix_of

LIMIT_BYTES = 32_000_000
"""Size from which a log is rotated. A prompt of 600K tokens makes sglang-kt write some 6,000 lines,
or 0.7 MB."""
_READ_BYTES = 4_000_000
_LINE_ENDS = re.compile(rb"[\r\n]+")  # progress bars write \r


def rotate(log: Path, last: Path) -> None:
    """Move the content of `log` into `last`, replacing it. Raises OSError with `log` unchanged.
    After a kill in the middle, lines may be in both files, but none is lost."""
    draft = Draft(last, prefix=prefix_of(last))
    try:
        with log.open("rb") as source:
            shutil.copyfileobj(source, draft.file)
            draft.publish(is_synced=False, is_closed=False)
            while os.fstat(source.fileno()).st_size > source.tell():
                shutil.copyfileobj(source, draft.file)
            draft.file.flush()
            os.truncate(log, 0)
    finally:
        draft.drop()


class LogReader:
    """The new lines of a growing log, each once, across this class's own rotations."""

    def __init__(self, log: Path, last: Path) -> None:
        self._log, self._last = log, last
        self._offset = 0
        self._rest = b""

    def lines(self) -> list[str]:
        """The complete lines written since the last call."""
        return self._lines(self._log)

    def rotate_if_long(self) -> list[str]:
        """Rotate a long log. Returns the lines that arrived meanwhile."""
        try:
            if self._log.stat().st_size < LIMIT_BYTES:
                return []
            rotate(self._log, self._last)
        except OSError:  # disk full: try again next time
            return []
        found = self._lines(self._last)
        self._offset = 0
        return found

    def _lines(self, path: Path) -> list[str]:
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    self._offset = 0  # another program has truncated it
                file.seek(self._offset)
                new = file.read(_READ_BYTES)
        except OSError:
            return []
        self._offset += len(new)
        *whole, self._rest = _LINE_ENDS.split(self._rest + new)
        return [line.decode(errors="replace") for line in whole if line]
