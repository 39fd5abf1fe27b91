"""Parse a time or a time limit as people give it: "22:00", "tomorrow 3:00", "+2h", or ISO 8601.

A time without a zone is in this machine's zone, which the C library knows; it is stored in UTC.
Pure, except for that zone and the clock.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone
from time import monotonic

from jobs import clock as jobs_clock
from ktclient.errors import BadInput

_SPAN = re.compile(r"\+\s*((?:\d+(?:\.\d+)?\s*[smhdw]\s*)+)")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_CLOCK = re.compile(r"(?:(today|tomorrow)\s+)?(?:at\s+)?(\d{1,2}):(\d{2})(?::(\d{2}))?", re.I)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_WAYS = '"22:00", "tomorrow 3:00", "+2h30m", "2026-11-26 03:00" or an ISO time with its zone'
_FARTHEST = timedelta(days=3660)
"""Ten years: a later time was mistyped."""


def deadline(timeout: float | None) -> float | None:
    """When a wait of so many seconds ends, in monotonic time; None for no limit. Raises `BadInput`
    for a negative number, and for what is no number."""
    if timeout is None:
        return None
    if not timeout >= 0:  # also NaN, with which every comparison is false
        raise BadInput(f"the timeout must be 0 seconds or more, not {timeout:g}")
    return monotonic() + timeout


def parse_future(said: str | datetime, now: datetime | None = None) -> datetime:
    """The given time in UTC. A time of day without a day is the next one. Raises `BadInput` for
    text that is no time, a past time, or one that does not exist here: the hour that clocks skip in
    spring."""
    now = (now or jobs_clock.utc()).astimezone(timezone.utc)
    try:
        found = _meant(said.strip(), now) if isinstance(said, str) else _of_local(said)
    except (ValueError, OverflowError):
        raise BadInput(f"{str(said)[:40]!r} is not a time; use {_WAYS}") from None
    if found < now:
        raise BadInput(f"{local(found)} is in the past ({said}); omit --at to start immediately")
    if found - now > _FARTHEST:
        raise BadInput(f"{local(found)} is more than ten years away")
    return found


def span(said: str | datetime | None) -> float | None:
    """The seconds that a time names which counts from now ("+2h"); None for any other."""
    found = _SPAN.fullmatch(said.strip()) if isinstance(said, str) else None
    return _seconds(found) if found else None


def _seconds(found: re.Match[str]) -> float:
    return sum(float(n) * _SECONDS[unit] for n, unit in _PART.findall(found.group(1)))


def local(moment: datetime) -> str:
    """The time in this machine's zone, with the zone's name."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z").strip()


def _meant(said: str, now: datetime) -> datetime:
    if found := _SPAN.fullmatch(said):
        return now + timedelta(seconds=_seconds(found))
    if clock := _CLOCK.fullmatch(said):
        return _at_clock(clock, now)
    if _DAY.fullmatch(said):
        return _of_local(datetime.combine(date.fromisoformat(said), time()))
    return _of_local(datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", said)))  # 3.10 knows no "Z"


def _at_clock(said: re.Match[str], now: datetime) -> datetime:
    """That time on the named day, else its next one. By the calendar: not every day has 24 h."""
    day, hour, minute, second = said.groups()
    at = time(int(hour), int(minute), int(second or 0))
    today = now.astimezone().date()
    tomorrow = today + timedelta(days=1)
    if day is not None:
        return _of_local(datetime.combine(tomorrow if day.lower() == "tomorrow" else today, at))
    try:
        found = _of_local(datetime.combine(today, at))
    except BadInput:  # it does not exist today: clocks skip it
        return _of_local(datetime.combine(tomorrow, at))
    return found if found >= now else _of_local(datetime.combine(tomorrow, at))


def _of_local(said: datetime) -> datetime:
    """UTC of a local time; of an hour that occurs twice, in autumn, the first. Raises
    `BadInput`."""
    if said.tzinfo is not None:
        return said.astimezone(timezone.utc)
    found = said.astimezone(timezone.utc)
    if found.astimezone().replace(tzinfo=None) != said.replace(fold=0):
        raise BadInput(
            f"the time {said:%H:%M} on {said:%Y-%m-%d} does not exist here: clocks skip it. "
            "Use another time, or add a zone: +01:00"
        )
    return found


_PAST_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


_DAYS_AGO = {"today": 0, "yesterday": 1}


_LONGEST_PAST = timedelta(days=36_500)


def parse_past(text: str, option: str, now: datetime | None = None) -> str:
    """The time in UTC, in the store's format. `2d` is that long ago; a day (`today`, `yesterday` or
    2026-11-20) is its start; times are local unless they name a zone. Raises `BadInput`, which
    names the option."""
    here = (now or jobs_clock.utc()).astimezone()
    told = text.strip().lower()
    if told in _DAYS_AGO:
        day = (here - timedelta(days=_DAYS_AGO[told])).date()
        return jobs_clock.of(datetime(day.year, day.month, day.day).astimezone())
    if span := re.fullmatch(r"([0-9]{1,9})([smhdw])", told):
        ago = min(_LONGEST_PAST, timedelta(**{_PAST_UNITS[span[2]]: min(int(span[1]), 10**8)}))
        return jobs_clock.of(here - ago)
    try:
        return jobs_clock.of(
            datetime.fromisoformat(told.upper().replace("Z", "+00:00")).astimezone()
        )
    except (ValueError, OverflowError, OSError):  # the last two: too long ago for a time zone
        raise BadInput(
            f"{option} {text}: use 2d, 12h or 30m for that long ago, yesterday, 2026-11-20, or "
            "2026-11-20T18:00"
        ) from None
