"""The best source of progress: the log of a server that we started ourselves on this machine.

One line for each chunk, in every version and without a flag, and reading it asks the server
nothing. The line is written when the result of a chunk is processed, in the same moment in which
`sglang:realtime_tokens_total` counts it (sglang-kt 0.7.2 scheduler_output_processor_mixin.py:337,
scheduler_metrics_mixin.py:240; sglang 0.5.17 batch_result_processor.py:368): one chunk after
/v1/loads, which includes the chunk in work. Python's logging writes each line out at once.

A log names no request: beside others its count is a sum for all, as that of /metrics is.
"""

from __future__ import annotations

import os
from pathlib import Path

from ktclient.servers.dialects import sglang
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.gauges import Gauges, Reading
from server_bundle.launch import registry
from server_bundle.logs.follower import Follower
from server_bundle.logs.prefill_count import PrefillCount

LOG = "log"


def gauges(facts: ServerFacts, api_key: str | None, folder: Path) -> Gauges:
    """The best that there is for this server. `folder`: where our servers have their folders."""
    log = registry.log_of(folder, facts.url) if facts.dialect == sglang.NAME else None
    if log is None or not os.access(log, os.R_OK):
        return Gauges(facts, api_key)
    return LogGauges(facts, api_key, log)


class LogGauges(Gauges):
    """Counts in the log. Whether others are being served, only the server itself can tell."""

    def __init__(self, facts: ServerFacts, api_key: str | None, log: Path) -> None:
        super().__init__(facts, api_key)
        self._log = Follower(log, last=0)
        self._count = PrefillCount()
        self._has_log = True

    @property
    def asks(self) -> bool:
        """A file is read by each for itself; the server is asked once, at the beginning."""
        return not self._has_log

    def first(self) -> Reading | None:
        """The count begins here, at 0. None when neither the log nor the server tells anything."""
        self._has_log = self._begins()
        asked = super().first()
        if not self._has_log:
            return asked
        waiting, is_busy = (asked.waiting, asked.is_busy) if asked else (0, None)
        self.source = LOG
        # What was counted while the server was asked is after the beginning.
        return Reading(LOG, self._count.tokens, waiting, is_busy)

    def next(self) -> Reading | None:
        """A later look; None when the log cannot be read just now."""
        if not self._has_log:
            return super().next()
        try:
            for line in self._log.lines():
                self._count.see(line)
        except OSError:
            return None
        return Reading(LOG, self._count.tokens, self._count.queued)

    def close(self) -> None:
        """Let go of the file."""
        self._log.close()

    def _begins(self) -> bool:
        try:
            return self._log.begin()
        except OSError:
            return False
