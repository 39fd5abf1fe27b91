"""Poll a server in a separate thread while a request is prefilled.

Not in the thread that checks liveness: /v1/loads may take minutes to answer if kernels are compiled
in a chunk, and that must not look like a hung server. Of all processes here that wait for one
server, one polls it (`poll_lease`), and the others read its results.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from ktclient.request import liveness
from ktclient.request.liveness import Poller, Question
from ktclient.servers.gauges import LOADS, Gauges, Reading
from ktclient.servers.poll_lease import PollLease

METRICS_SECONDS = 2.0
LOADS_SECONDS = 5.0
"""/v1/loads interrupts the scheduler between two chunks, so it is polled less often; not where it
has exact counts, which the HTTP process answers."""
TURN_SECONDS = 0.5
"""Between two checks of another process's readings, and whether that process still polls."""
FIRST_SECONDS = 1.0
"""How long a request is held back for the first reading. An idle server answers in milliseconds; a
slower one serves other requests, and then its counts are estimates anyway."""
FRESH_SECONDS = 10.0
"""Maximum age of another process's reading to start with."""


class GaugeWatcher:
    """Readings of one server. The first is taken at the start, before the request is sent."""

    def __init__(self, gauges: Gauges, poller: PollLease) -> None:
        self._gauges, self._shared = gauges, poller
        self._readings: queue.SimpleQueue[tuple[Reading, float]] = queue.SimpleQueue()
        self._has_seen = threading.Event()
        self._at_work = threading.Lock()
        self._asked_at = 0.0
        self._seen_at = 0.0
        self._has_begun = False
        self._followed: str | None = None
        """The source of another process's readings."""
        turn = min(TURN_SECONDS, METRICS_SECONDS)
        self._poller = Poller([Question(self._turn, turn, at_once=True)])

    def start(self) -> None:
        """Start to poll. Returns after the first reading, or after `FIRST_SECONDS`."""
        if not self._gauges.can_tell:
            return
        self._seen_at = time.monotonic() - FRESH_SECONDS
        self._poller.start()
        self._has_seen.wait(FIRST_SECONDS)

    def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop polling, and let another process poll. A running query is not cut short: sglang-kt
        would keep it and answer it before those of other clients. No new query starts until it has
        been answered."""
        self._poller.stop()
        if self._at_work.acquire(blocking=False):
            self._shared.end()
            self._at_work.release()

    def readings(self) -> Iterator[tuple[Reading, float]]:
        """The readings since the last call, each with its time (monotonic seconds)."""
        while not self._readings.empty():
            yield self._readings.get()

    def _turn(self, watch: liveness.Watch) -> None:
        with self._at_work:
            if not self._poller.is_stopped:
                if not self._gauges.asks or self._shared.acquire():
                    self._ask()
                else:
                    self._look()
        if self._poller.is_stopped:  # `stop` was called while a query was running
            self._shared.end()

    def _ask(self) -> None:
        if not self._has_begun and self._followed is not None:
            self._gauges.go_on(self._followed)
            self._has_begun = True
        now = time.monotonic()
        every = LOADS_SECONDS if self._gauges.source == LOADS else METRICS_SECONDS
        if self._gauges.asks and now - self._asked_at < every:
            return  # a log is read at every turn, which costs the server nothing
        self._asked_at = now
        reading = self._gauges.next() if self._has_begun else self._gauges.first()
        if reading is not None:
            self._has_begun = True
            moment = time.monotonic()
            self._readings.put((reading, moment))
            if self._gauges.asks:
                self._shared.publish(reading, moment)
        self._has_seen.set()

    def _look(self) -> None:
        """Take another process's readings: it polls for its own request, so the server is busy."""
        for reading, moment in self._shared.latest(after=self._seen_at):
            self._followed = reading.source
            self._seen_at = self._asked_at = moment
            self._readings.put((replace(reading, is_busy=True), moment))
            self._has_seen.set()
