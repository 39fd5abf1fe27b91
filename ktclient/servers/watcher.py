"""Looks at a server in a thread of its own while a request is prefilled.

Not in the thread that asks whether the server lives: /v1/loads may take minutes to answer, when
kernels are compiled in a chunk, and that must not look like a server that hangs. Of all processes
here that wait for one server one asks it (`one_poller`), and the others look at what it saw.
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
"""/v1/loads interrupts the scheduler between two chunks, so it is asked less."""
TURN_SECONDS = 0.5
"""Between two looks at what another process saw, and whether it still polls."""
FIRST_SECONDS = 1.0
"""How long a request is held back for the first reading. An idle server gives it in milliseconds;
one that needs longer serves others, and what it then counts is an estimate anyway."""
FRESH_SECONDS = 10.0
"""So old may be what another process saw, to begin with it."""


class GaugeWatcher:
    """Readings of one server. The first is had at the start, before the request is sent."""

    def __init__(self, gauges: Gauges, poller: PollLease) -> None:
        self._gauges, self._shared = gauges, poller
        self._readings: queue.SimpleQueue[tuple[Reading, float]] = queue.SimpleQueue()
        self._has_seen = threading.Event()
        self._at_work = threading.Lock()
        self._asked_at = 0.0
        self._seen_at = 0.0
        self._has_begun = False
        self._followed: str | None = None
        """The source of what another process saw."""
        turn = min(TURN_SECONDS, METRICS_SECONDS)
        self._poller = Poller([Question(self._turn, turn, at_once=True)])

    def start(self) -> None:
        """Returns when the first look was answered, or after `FIRST_SECONDS`."""
        if not self._gauges.can_tell:
            return
        self._seen_at = time.monotonic() - FRESH_SECONDS
        self._poller.start()
        self._has_seen.wait(FIRST_SECONDS)

    def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Look no more, and let another process ask. A question under way is not cut short:
        sglang-kt would keep it and answer it before anybody else's; nor does another begin until
        it has been answered."""
        self._poller.stop()
        if self._at_work.acquire(blocking=False):
            self._shared.end()
            self._at_work.release()

    def readings(self) -> Iterator[tuple[Reading, float]]:
        """Those that came since the last call, each with its moment (monotonic)."""
        while not self._readings.empty():
            yield self._readings.get()

    def _turn(self, watch: liveness.Watch) -> None:
        with self._at_work:
            if not self._poller.is_stopped:
                if not self._gauges.asks or self._shared.is_ours():
                    self._ask()
                else:
                    self._look()
        if self._poller.is_stopped:  # asked for while a question was under way
            self._shared.end()

    def _ask(self) -> None:
        if not self._has_begun and self._followed is not None:
            self._gauges.go_on(self._followed)
            self._has_begun = True
        now = time.monotonic()
        every = LOADS_SECONDS if self._gauges.source == LOADS else METRICS_SECONDS
        if self._gauges.asks and now - self._asked_at < every:
            return  # a log is read at every turn: that costs nobody anything
        self._asked_at = now
        reading = self._gauges.next() if self._has_begun else self._gauges.first()
        if reading is not None:
            self._has_begun = True
            moment = time.monotonic()
            self._readings.put((reading, moment))
            if self._gauges.asks:
                self._shared.tell(reading, moment)
        self._has_seen.set()

    def _look(self) -> None:
        """What another process saw: it reads for a request of its own, so the server is busy."""
        for reading, moment in self._shared.told(after=self._seen_at):
            self._followed = reading.source
            self._seen_at = self._asked_at = moment
            self._readings.put((replace(reading, is_busy=True), moment))
            self._has_seen.set()
