"""Waiting for a store that cannot be used just now: its disk is full, read-only or locked.

A prefill of half an hour must not be lost to a disk that is full for a minute. What is broken for
good (`StoreDamaged`, `StoreTooNew`) is not waited for.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from jobs import clock
from jobs.errors import StoreDamaged, StoreTooNew, StoreUnusable

SECONDS = 3600.0
"""How long an attempt that has ended waits to write that. Until then its text is in memory only,
and its job is rightly called running."""
REST_SECONDS = 1.0
"""Between two tries. A locked store has made each of them wait for its busy timeout besides."""

Result = TypeVar("Result")


def is_temporary(error: StoreUnusable) -> bool:
    """Whether waiting can mend it."""
    return not isinstance(error, (StoreDamaged, StoreTooNew))


def retry_until_usable(action: Callable[[], Result], seconds: float = SECONDS) -> Result:
    """Do it, again and again while the store cannot be used, for at most so long. Raises the last
    `StoreUnusable`."""
    give_up = time.monotonic() + seconds
    told = False
    while True:
        try:
            return action()
        except StoreUnusable as error:
            if not is_temporary(error) or time.monotonic() >= give_up:
                raise
            if not told:
                say(f"trying again for up to {seconds:,.0f} s: {error}")
                told = True
        time.sleep(REST_SECONDS)


def say(line: str) -> None:
    """Write a line to the log, which may be on the same full disk."""
    with contextlib.suppress(OSError):
        print(clock.now(), line, file=sys.stderr, flush=True)
