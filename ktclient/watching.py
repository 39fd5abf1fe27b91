"""Looks at a server in a thread of its own while a request is prefilled.

Not in the thread that asks whether the server lives: /v1/loads may take minutes to answer, when
kernels are compiled in a chunk, and that must not look like a server that hangs.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

from ktclient import pulse
from ktclient.pulse import Poller, Question
from ktclient.servers.gauges import LOADS, Gauges, Reading

METRICS_SECONDS = 2.0
LOADS_SECONDS = 5.0
"""/v1/loads interrupts the scheduler between two chunks, so it is asked less."""
FIRST_SECONDS = 1.0
"""How long a request is held back for the first reading. An idle server gives it in milliseconds;
one that needs longer serves others, and what it then counts is an estimate anyway."""


class Watcher:
    """Readings of one server. The first is asked for at the start, before the request is sent."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges
        self._readings: queue.SimpleQueue[tuple[Reading, float]] = queue.SimpleQueue()
        self._is_first = True
        self._has_asked = threading.Event()
        self._asked_at = 0.0
        self._poller = Poller([Question(self._ask, METRICS_SECONDS, at_once=True)])

    def start(self) -> None:
        """Returns when the first question was answered, or after `FIRST_SECONDS`."""
        self._poller.start()
        self._has_asked.wait(FIRST_SECONDS)

    def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask no more. A question under way is not cut short: sglang-kt would keep it and answer
        it before anybody else's."""
        self._poller.stop()

    def readings(self) -> Iterator[tuple[Reading, float]]:
        """Those that came since the last call, each with its moment (monotonic)."""
        while not self._readings.empty():
            yield self._readings.get()

    def _ask(self, watch: pulse.Watch) -> None:
        now = time.monotonic()
        if self._gauges.source == LOADS and now - self._asked_at < LOADS_SECONDS:
            return
        self._asked_at = now
        reading = self._gauges.first() if self._is_first else self._gauges.next()
        if reading is not None:
            self._is_first = False
            self._readings.put((reading, time.monotonic()))
        self._has_asked.set()
