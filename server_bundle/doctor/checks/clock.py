"""The clock, which TLS, logs and deadlines depend on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from jobs import clock
from server_bundle.doctor.case import Case
from server_bundle.doctor.finding import Finding, warning

_SLACK_SECONDS = 86_400.0


def check(case: Case) -> Iterator[Finding]:
    """Report the clock only when it is certainly wrong: a file of the model is from the future."""
    config = case.checkpoint.folder / "config.json"
    if not config.exists():
        return
    written = datetime.fromtimestamp(config.stat().st_mtime, timezone.utc)
    ahead = clock.seconds_between(clock.now(), written.isoformat().replace("+00:00", "Z"))
    if ahead > _SLACK_SECONDS:
        seen = f"the date of {config} is {ahead / 86_400:,.0f} days in the future"
        why = "the clock is slow: TLS certificates are refused, and times in logs are wrong"
        yield warning("clock", seen, why, "", "run timedatectl set-ntp true")
