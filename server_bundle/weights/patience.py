"""How long a fetch tries again: pauses that grow, and a limit of time without a single byte."""

from __future__ import annotations

import random
import threading
import time

from server_bundle.errors import FetchFailed
from server_bundle.weights.hubs.hub import Interrupted
from server_bundle.weights.meter import Meter

DAY_SECONDS = 86_400.0
"""As a job waits for a server that is away."""
_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0


class Patience:
    """Shared by the threads of one fetch: bytes of any file show that the line works."""

    def __init__(self, meter: Meter, limit_seconds: float) -> None:
        self._meter, self._limit = meter, limit_seconds
        self._lock = threading.Lock()
        self._last = time.monotonic()
        self._failures: dict[str, int] = {}

    def progressed(self, what: str) -> None:
        """Bytes of a file arrived."""
        with self._lock:
            self._last = time.monotonic()
            self._failures.pop(what, None)

    def pause(self, what: str, error: Interrupted) -> None:
        """Wait before the next try. Raises `FetchFailed` when the limit is reached, and
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
            why = f"nothing has arrived for {silent:,.0f} s" if not error.most else "it stays so"
            raise FetchFailed(
                f"{what}: {error}; {why}. What has arrived is kept: fetch again with the same "
                "command, and only the rest is fetched"
            )
        self._meter.say(what, f"{what}: {error}; trying again in {seconds:,.0f} s")
        self._meter.rest(seconds)
