"""The end of a job's log, which also has the output of its command (`--on-done`)."""

from __future__ import annotations

from pathlib import Path

MOST_BYTES = 8 << 20


def text(log: Path) -> str:
    """Its last lines, and where the rest is, if it is long; empty if there is no log."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - MOST_BYTES))
            content = file.read(MOST_BYTES)
    except FileNotFoundError:
        return ""
    if size <= MOST_BYTES:
        return content.decode(errors="replace")
    whole_lines = content[content.find(b"\n") + 1 :].decode(errors="replace")
    return f"(only the last {MOST_BYTES >> 20} MB; all of it: {log})\n{whole_lines}"
