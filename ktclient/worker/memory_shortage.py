"""A worker that runs out of memory: it waits before its request is sent, and ends after that."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from jobs.errors import NotEnoughMemory, OutOfMemory
from jobs.system import no_memory
from jobs.worker.attempt import RunningAttempt
from ktclient.records import phases


@contextlib.contextmanager
def named(attempt: RunningAttempt) -> Iterator[None]:
    """Turn every error that means that memory ran out into `NotEnoughMemory`, if the server cannot
    have the whole request yet, else into `OutOfMemory`."""
    try:
        yield
    except Exception as error:
        if not no_memory.is_it(error):
            raise
        is_before = attempt.phase in phases.BEFORE_SENDING or attempt.phase == phases.SENDING
        kind = NotEnoughMemory if is_before else OutOfMemory
        raise kind(f"its worker: {no_memory.words(error)}") from error
