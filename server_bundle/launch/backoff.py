"""When a server that died is started again: pure."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 300.0
HEALTHY_SECONDS = 3600.0
"""After so long a run the failures before it are forgotten."""
QUICK_FAILURES = 10
"""So many in a row are tried again: about nine minutes of waiting, and the starts between."""


@dataclass
class BackOff:
    """Twice as long after each failure."""

    failures: int = 0

    def after(self, run_seconds: float) -> float | None:
        """How many seconds to wait after a run that ended in failure; None: give up."""
        if run_seconds >= HEALTHY_SECONDS:
            self.failures = 0
        self.failures += 1
        if self.failures > QUICK_FAILURES:
            return None
        return float(min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** (self.failures - 1)))
