"""Durations as text, for every message: none that is more than nothing is shown as 0 seconds."""

from __future__ import annotations

_LEAST = 0.001
"""Seconds: less than this is shown as less than it."""
_DECIMALS = 3


def exact(seconds: float) -> str:
    """A limit as somebody set it, without its unit: "3,600", "0.5", "1.25"; to the millisecond."""
    if 0 < seconds < _LEAST:
        return f"{seconds:.{_DECIMALS}g}"
    return f"{seconds:,.{_DECIMALS}f}".rstrip("0").rstrip(".")


def typed(seconds: float) -> str:
    """The same as it is typed after an option: "3600", "0.5"."""
    return exact(seconds).replace(",", "")


def rough(seconds: float) -> str:
    """What was measured or expected, in whole seconds, without its unit; below one second the first
    digit: "3,600", "1", "0.3", "0.02", "<0.001"."""
    if 0 < seconds < _LEAST:
        return f"<{_LEAST:g}"
    return f"{seconds:.1g}" if 0 < seconds < 1 else f"{seconds:,.0f}"
