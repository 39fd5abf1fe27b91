"""How long a transfer tries again: pauses that grow, and a limit of time without a single byte."""

from __future__ import annotations

import random
import threading
import time

from jobs import durations
from jobs.errors import KtjobError
from server_bundle.transfers.meter import Meter
from server_bundle.transfers.origin import Interrupted

KEPT = "What has arrived is kept; run the same command again to continue"
_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0


class Patience:
    """Shared by the threads of one run: bytes of any file show that the line works. `failed`: the
    error that is raised in the end."""

    def __init__(self, meter: Meter, limit_seconds: float, failed: type[KtjobError]) -> None:
        self._meter, self._limit, self._failed = meter, limit_seconds, failed
        self._lock = threading.Lock()
        self._last = time.monotonic()
        self._failures: dict[str, int] = {}

    def progressed(self, what: str) -> None:
        """Bytes of a file arrived."""
        with self._lock:
            self._last = time.monotonic()
            self._failures.pop(what, None)

    def pause(self, what: str, error: Interrupted) -> None:
        """Wait before the next try. Raises the error of the product when the limit is reached, and
        `Stopped`."""
        with self._lock:
            silent = time.monotonic() - self._last
            failed = self._failures.get(what, 0)
            self._failures[what] = failed + 1
        seconds = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2 ** min(failed, 10))
        seconds *= random.uniform(0.75, 1.0)  # so that files do not ask in step
        if error.after is not None:
            seconds = max(seconds, error.after)
        if silent + seconds > self._limit or (error.most and failed >= error.most):
            why = (
                f"nothing has arrived for {durations.rough(silent)} s"
                if not error.most
                else "it stays so"
            )
            raise self._failed(f"{what}: {error}; {why}. {KEPT}")
        self._meter.say(what, f"{what}: {error}; trying again in {durations.rough(seconds)} s")
        self._meter.rest(seconds)
