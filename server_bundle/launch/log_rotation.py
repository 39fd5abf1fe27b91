"""The server's log: kept small without the server's help, and read line by line.

The server writes straight into the file, opened for appending, so that neither the death nor the
slowness of its keeper can stop it or lose its last words (a pipe would do both). A log that has
grown is therefore copied away and cut to nothing; a line that is written in the microseconds
between the end of the copy and the cut is lost.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

LIMIT_BYTES = 32_000_000
"""A prompt of 600K tokens makes sglang-kt write some 6,000 lines, or 0.7 MB."""
_READ_BYTES = 4_000_000
_LINE_ENDS = re.compile(rb"[\r\n]+")  # progress bars write \r


def rotate(log: Path, last: Path) -> None:
    """Move the content of `log` into `last`, which is replaced. Raises OSError with `log` as it
    was; a death in the middle leaves lines in both, and none in neither."""
    draft = last.with_name(last.name + ".draft")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with log.open("rb") as source, os.fdopen(fd, "wb", buffering=0) as copy:
            shutil.copyfileobj(source, copy)
            os.replace(draft, last)
            while os.fstat(source.fileno()).st_size > source.tell():
                shutil.copyfileobj(source, copy)
            os.truncate(log, 0)
    finally:
        draft.unlink(missing_ok=True)


class LogReader:
    """The new lines of a growing log, each once, through rotations by ourselves."""

    def __init__(self, log: Path, last: Path) -> None:
        self._log, self._last = log, last
        self._offset = 0
        self._rest = b""

    def lines(self) -> list[str]:
        """What was written since the last look, whole lines only."""
        return self._lines(self._log)

    def rotate_if_long(self) -> list[str]:
        """Rotate a long log. Returns the lines that came in meanwhile."""
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
                    self._offset = 0  # somebody else has cut it
                file.seek(self._offset)
                new = file.read(_READ_BYTES)
        except OSError:
            return []
        self._offset += len(new)
        *whole, self._rest = _LINE_ENDS.split(self._rest + new)
        return [line.decode(errors="replace") for line in whole if line]
