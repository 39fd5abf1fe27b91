"""Parse past times as people write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from jobs import clock
from ktclient.errors import BadInput

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS_AGO = {"today": 0, "yesterday": 1}
_LONGEST = timedelta(days=36_500)


def moment(text: str, option: str, now: datetime | None = None) -> str:
    """The time in UTC, in the store's format. `2d` is that long ago; a day (`today`, `yesterday` or
    2026-11-20) is its start; times are local unless they name a zone. Raises `BadInput`, which
    names the option."""
    here = (now or datetime.now()).astimezone()
    given = text.strip().lower()
    if given in _DAYS_AGO:
        day = (here - timedelta(days=_DAYS_AGO[given])).date()
        return clock.of(datetime(day.year, day.month, day.day).astimezone())
    if span := re.fullmatch(r"([0-9]{1,9})([smhdw])", given):
        ago = min(_LONGEST, timedelta(**{_UNITS[span[2]]: min(int(span[1]), 10**8)}))
        return clock.of(here - ago)
    try:
        return clock.of(datetime.fromisoformat(given.upper().replace("Z", "+00:00")).astimezone())
    except (ValueError, OverflowError, OSError):  # the last two: too long ago for a time zone
        raise BadInput(
            f"{option} {text}: use 2d, 12h or 30m for that long ago, yesterday, 2026-11-20, or "
            "2026-11-20T18:00"
        ) from None
