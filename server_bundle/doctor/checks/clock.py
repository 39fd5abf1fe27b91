"""The clock: TLS, logs and deadlines go by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from jobs import clock
from server_bundle.doctor.case import Case
from server_bundle.doctor.finding import Finding, warning

_SLACK_SECONDS = 86_400.0


def check(case: Case) -> Iterator[Finding]:
    """Said only where it is certainly wrong: a file of the model is from the future."""
    config = case.checkpoint.folder / "config.json"
    if not config.exists():
        return
    written = datetime.fromtimestamp(config.stat().st_mtime, timezone.utc)
    ahead = clock.seconds_between(clock.now(), written.isoformat().replace("+00:00", "Z"))
    if ahead > _SLACK_SECONDS:
        seen = f"{config} was written {ahead / 86_400:,.0f} days from now"
        why = "the clock is behind: certificates are refused, logs lie"
        yield warning("clock", seen, why, "", "timedatectl set-ntp true")
