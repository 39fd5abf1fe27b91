"""Numbers out of a server's JSON, which may be anything."""

from __future__ import annotations


def count_of(value: object) -> int | None:
    """A whole number above 0, or None. sglang says -1 for "off"."""
    return value if isinstance(value, int) and value is not True and value > 0 else None
