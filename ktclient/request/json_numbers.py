"""Read numbers from a server's JSON, which may contain anything."""

from __future__ import annotations

_MOST = 2**53
"""Larger numbers are read differently by JSON parsers, fit no database, and are not plausible."""


def count_of(value: object) -> int | None:
    """A whole number above 0, or None. sglang uses -1 for "off"."""
    return amount_of(value) or None


def sure_amount_of(value: object) -> int:
    """A whole number of at least 0. Raises `ValueError` for anything else."""
    amount = amount_of(value)
    if amount is None:
        raise ValueError("not a count")
    return amount


def amount_of(value: object) -> int | None:
    """A whole number of at least 0, or None."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MOST else None
