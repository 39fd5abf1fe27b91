"""Moments of the past, as people type them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from jobs import clock
from ktclient.errors import BadInput

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS_AGO = {"today": 0, "yesterday": 1}
_LONGEST = timedelta(days=36_500)


def moment(text: str, option: str, now: datetime | None = None) -> str:
    """The moment in UTC, as it is stored. `2d` is so long ago; a day, `today`, `yesterday` or
    2026-11-20, is its first moment; times are the reader's own unless they name a zone. Raises
    `BadInput`, which names the option."""
    here = (now or datetime.now()).astimezone()
    told = text.strip().lower()
    if told in _DAYS_AGO:
        day = (here - timedelta(days=_DAYS_AGO[told])).date()
        return clock.of(datetime(day.year, day.month, day.day).astimezone())
    if span := re.fullmatch(r"([0-9]{1,9})([smhdw])", told):
        ago = min(_LONGEST, timedelta(**{_UNITS[span[2]]: min(int(span[1]), 10**8)}))
        return clock.of(here - ago)
    try:
        return clock.of(datetime.fromisoformat(told.upper().replace("Z", "+00:00")).astimezone())
    except (ValueError, OverflowError, OSError):  # the last two: no zone reaches back that far
        raise BadInput(
            f"{option} {text}: write 2d, 12h or 30m for so long ago, yesterday, 2026-11-20, or "
            "2026-11-20T18:00"
        ) from None
