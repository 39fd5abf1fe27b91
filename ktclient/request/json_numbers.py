"""Numbers out of a server's JSON, which may be anything."""

from __future__ import annotations

_MOST = 2**53
"""Beyond that JSON's readers differ, no database takes it, and no server means it."""


def count_of(value: object) -> int | None:
    """A whole number above 0, or None. sglang says -1 for "off"."""
    return amount_of(value) or None


def amount_of(value: object) -> int | None:
    """A whole number from 0 up, or None."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MOST else None
