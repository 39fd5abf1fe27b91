"""The best source of progress: the log of a server that ktserver started on this machine.

It has one line for each chunk, in every version and without a flag, and reading it sends no query
to the server. The line is written when the result of a chunk is processed, in the same moment as
`sglang:realtime_tokens_total` counts it (sglang-kt 0.7.2 scheduler_output_processor_mixin.py:337,
scheduler_metrics_mixin.py:240; sglang 0.5.17 batch_result_processor.py:368): one chunk after
/v1/loads, which includes the current chunk. Python's logging writes each line immediately.

A log names no request: beside other requests its count is a sum for all, like that of /metrics.
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
    """The best source for this server. `folder`: the folder of ktserver's servers."""
    log = registry.log_of(folder, facts.url) if facts.dialect == sglang.NAME else None
    if log is None or not os.access(log, os.R_OK):
        return Gauges(facts, api_key)
    return LogGauges(facts, api_key, log)


class LogGauges(Gauges):
    """Counts tokens in the log. Only the server itself reports whether it serves other clients."""

    def __init__(self, facts: ServerFacts, api_key: str | None, log: Path) -> None:
        super().__init__(facts, api_key)
        self._log = Follower(log, last=0)
        self._count = PrefillCount()
        self._has_log = True

    @property
    def asks(self) -> bool:
        """Each process reads the file itself; the server is queried once, at the start."""
        return not self._has_log

    def first(self) -> Reading | None:
        """The count starts here, at 0. None if neither the log nor the server reports anything."""
        self._has_log = self._begins()
        asked = super().first()
        if not self._has_log:
            return asked
        waiting, is_busy = (asked.waiting, asked.is_busy) if asked else (0, None)
        self.source = LOG
        # Tokens counted while the server was queried belong to the count.
        return Reading(LOG, self._count.tokens, waiting, is_busy)

    def next(self) -> Reading | None:
        """A later sample; None if the log cannot be read now."""
        if not self._has_log:
            return super().next()
        try:
            for line in self._log.lines():
                self._count.see(line)
        except OSError:
            return None
        return Reading(LOG, self._count.tokens, self._count.queued)

    def close(self) -> None:
        """Close the file."""
        self._log.close()

    def _begins(self) -> bool:
        try:
            return self._log.begin()
        except OSError:
            return False
