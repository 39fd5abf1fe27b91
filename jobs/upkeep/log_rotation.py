"""Logs that stay short: a long one is put aside."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from jobs.processes import detach

LOG_BYTES = 5_000_000
"""A log longer than this is put aside, over the one before."""


def rotate(log: Path) -> None:
    """Put a long log aside as LOG.1, over the one before."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            os.replace(log, log.with_name(f"{log.name}.1"))


def rotate_own(log: Path) -> None:
    """The same for the log that this process writes to, and go on in a new one."""
    with contextlib.suppress(OSError):  # a log is not worth a failure
        if os.path.samestat(os.fstat(2), log.stat()):
            rotate(log)
            if not log.exists():
                detach.redirect_streams(log)
