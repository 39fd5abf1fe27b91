"""When a crashed server is restarted: exponential backoff. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 300.0
HEALTHY_SECONDS = 3600.0
"""A run of this length resets the count of failures."""
QUICK_FAILURES = 10
"""How many failures in a row are followed by a restart: about nine minutes of waiting in total."""


@dataclass
class BackOff:
    """The delay doubles after each failure."""

    failures: int = 0

    def after(self, run_seconds: float) -> float | None:
        """Seconds to wait after a run of `run_seconds` that failed; None: no more restarts."""
        if run_seconds >= HEALTHY_SECONDS:
            self.failures = 0
        self.failures += 1
        if self.failures > QUICK_FAILURES:
            return None
        return float(min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** (self.failures - 1)))
