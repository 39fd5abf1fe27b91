"""Why parts of a conductor wait, shown with the conductor: the reason of one stands for all."""

from __future__ import annotations

import time

from jobs.store.families import Tally
from jobs.worker import conductor
from jobs.worker.attempt import RunningAttempt
from ktclient.records import blocks
from ktclient.records.phases import REFUSED

LOOK_SECONDS = 2.0
"""Interval for reading the parts that run: there are at most as many as the server has slots."""


class WaitingParts:
    """Looks at the parts of one conductor, as often as it is called and no more than needed."""

    def __init__(self, running: RunningAttempt) -> None:
        self._running = running
        self._looked_at = float("-inf")
        self._told: object = None

    def look(self, tally: Tally) -> None:
        """Record the reason, or that there is none any more, in the conductor's figures."""
        if tally.ended < tally.total and time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        reason = conductor.retry_until_usable(self._running, self._reason)
        if reason != self._told:
            self._told = reason
            self._running.record_metrics(last_refusal=reason)

    def _reason(self) -> object:
        parts = self._running.parts
        attempts = [parts.attempt(part) for part in parts.running()]
        reasons = (
            one.figures.get("last_refusal")
            for one in attempts
            if one is not None and one.phase in REFUSED
        )
        why = next((reason for reason in reasons if reason), None)
        if why is None and not (attempts or self._running.is_open()):
            return blocks.of_attempt(self._running.pauses())
        return why
