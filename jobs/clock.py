"""Wall-clock time for rows and people. Durations inside a process use `time.monotonic`."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone


def now() -> str:
    """The time in UTC, ISO 8601 with milliseconds and a Z: it sorts as text."""
    return ago(0.0)


def utc() -> datetime:
    """The time in UTC."""
    return datetime.now(timezone.utc)


def ago(seconds: float) -> str:
    """The time `seconds` ago, in the same form."""
    return of(utc() - timedelta(seconds=seconds))


def of(moment: datetime) -> str:
    """A moment with a zone, in the same form."""
    then = moment.astimezone(timezone.utc)
    return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_between(start: str, end: str) -> float:
    """Seconds from one stored time to another; negative when the clock was set back."""
    return (moment(end) - moment(start)).total_seconds()


def moment(text: str) -> datetime:
    """The moment of a stored time."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # 3.10 knows no "Z"
