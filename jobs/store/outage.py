"""Waiting for a store that cannot be used for now: its disk is full, read-only or locked.

A disk that is full for a minute must not cost a prefill of half an hour. Permanent errors
(`StoreDamaged`, `StoreRemoved`, `StoreTooNew`) are raised without waiting.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from jobs import clock, known_secrets
from jobs.errors import StoreDamaged, StoreRemoved, StoreTooNew, StoreUnusable

SECONDS = 3600.0
"""How long an ended attempt tries to record its end. Until then its text is in memory only, and its
job counts as running."""
REST_SECONDS = 1.0
"""Pause between two tries. On a locked store each try also waits for the busy timeout."""

Result = TypeVar("Result")


def is_temporary(error: StoreUnusable) -> bool:
    """Whether waiting can help."""
    return not isinstance(error, (StoreDamaged, StoreRemoved, StoreTooNew))


def retry_until_usable(action: Callable[[], Result]) -> Result:
    """Run `action`, and retry it for up to `SECONDS` while the store cannot be used. Raises the
    last `StoreUnusable`."""
    give_up = time.monotonic() + SECONDS
    told = False
    while True:
        try:
            return action()
        except StoreUnusable as error:
            if not is_temporary(error) or time.monotonic() >= give_up:
                raise
            if not told:
                report(f"retrying for up to {SECONDS:,.0f} s: {error}")
                told = True
        time.sleep(REST_SECONDS)


def report(line: str) -> None:
    """Write a line to the log, without known keys. Ignores write errors: the log may be on the same
    full disk."""
    with contextlib.suppress(OSError):
        print(clock.now(), known_secrets.hide(line), file=sys.stderr, flush=True)
