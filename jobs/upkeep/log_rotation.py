"""Logs that stay short: a long one is put aside."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from jobs.processes import detach

LOG_BYTES = 5_000_000
"""A longer log is rotated: it replaces the older LOG.1."""


def rotate(log: Path) -> None:
    """Rename a long log to LOG.1, replacing the older one."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            os.replace(log, log.with_name(f"{log.name}.1"))


def rotate_own(log: Path) -> None:
    """The same for the log that this process writes to, which then continues in a new file."""
    with contextlib.suppress(OSError):  # a log must not cause a failure
        if os.path.samestat(os.fstat(2), log.stat()):
            rotate(log)
            if not log.exists():
                detach.redirect_streams(log)
