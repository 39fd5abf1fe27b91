"""Durations, times and numbers in short forms."""

from __future__ import annotations

from jobs import clock, durations


def duration(seconds: float) -> str:
    """Format seconds for people: 0.3s, 9s, 3m 05s, 1h 02m."""
    whole = int(seconds)
    if 0 < seconds < 1:
        return f"{durations.rough(seconds)}s"
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"


_AGES = ((86400, "d"), (3600, "h"), (60, "m"))


def age(seconds: float) -> str:
    """Format seconds in about three characters: <1s, 9s, 5m, 3h, 12d."""
    if 0 < seconds < 1:
        return "<1s"
    whole = max(0, int(seconds))
    size, sign = next((one for one in _AGES if whole >= one[0]), (1, "s"))
    return f"{whole // size}{sign}"


def local_time(utc: str) -> str:
    """Convert a stored UTC time to the local time zone, to the second."""
    moment = clock.moment(utc).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def compact(number: int) -> str:
    """Format a number in about four characters: 812, 9.8K, 781K, 1.2M."""
    for size, sign in ((1_000_000, "M"), (1_000, "K")):
        if number >= size * 0.9995:
            return (
                f"{number / size:.1f}{sign}"
                if number < size * 9.95
                else f"{number / size:.0f}{sign}"
            )
    return str(number)
