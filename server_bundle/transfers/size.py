"""Amounts of bytes for people."""

from __future__ import annotations


def in_size(size: float) -> str:
    """Bytes for people: 812 MB, 4.3 GB."""
    for unit, sign in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return (
                f"{size / unit:,.1f} {sign}" if size < 10 * unit else f"{size / unit:,.0f} {sign}"
            )
    return f"{size:,.0f} bytes"
