"""The standard error of a process with a job in each thread: what a thread prints goes to the log
of its own job, which is opened at the first word."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from jobs.errors import KtjobError
from jobs.processes import detach


class ThreadLog:
    """In place of `sys.stderr`. What threads without a job of their own print goes to `others`."""

    def __init__(self, others: TextIO) -> None:
        self._others = others
        self._logs: dict[int, Path] = {}

    @classmethod
    def install(cls) -> ThreadLog:
        """Replace `sys.stderr` in this process."""
        log = cls(sys.stderr)
        sys.stderr = log
        return log

    @contextlib.contextmanager
    def of_this_thread(self, log: Path) -> Iterator[None]:
        """Let this thread print into `log`, for the length of the block."""
        self._logs[threading.get_ident()] = log
        try:
            yield
        finally:
            del self._logs[threading.get_ident()]

    def write(self, text: str) -> int:
        """Print. Falls back to `others` where the log cannot be opened or written."""
        log = self._logs.get(threading.get_ident())
        if log is None:
            return self._others.write(text)
        try:
            fd = detach.open_log(log)
        except (OSError, KtjobError):
            return self._others.write(text)
        try:
            os.write(fd, text.encode("utf-8", "backslashreplace"))
        finally:
            os.close(fd)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back in a log; `others` may hold something."""
        self._others.flush()

    def fileno(self) -> int:
        """That of `others`: for what writes without Python."""
        return self._others.fileno()
