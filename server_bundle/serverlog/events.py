"""From a line to what it tells."""

from __future__ import annotations

from server_bundle.serverlog import access, batches, kt, line, memory, startup, trouble
from server_bundle.serverlog.access import HttpAnswer
from server_bundle.serverlog.batches import DecodeBatch, PrefillBatch
from server_bundle.serverlog.kt import LayerComputed, SlowPath
from server_bundle.serverlog.line import Line
from server_bundle.serverlog.memory import Limits, MemoryFigures, Pools
from server_bundle.serverlog.startup import Bar, Ready, StageReached
from server_bundle.serverlog.trouble import Trouble

Event = (
    PrefillBatch
    | DecodeBatch
    | StageReached
    | Bar
    | Ready
    | Limits
    | Pools
    | MemoryFigures
    | LayerComputed
    | SlowPath
    | HttpAnswer
    | Trouble
)
_READERS = (batches.read, kt.read, access.read, trouble.read, startup.read, memory.read)


def read(raw: str) -> tuple[Line, Event | None]:
    """The line, and its event; None for what is not known. Never raises."""
    parts = line.read(raw)
    return parts, of_line(parts)


def of_line(parts: Line) -> Event | None:
    """Of a line whose prefix is off already."""
    found: Event | None = None
    for reader in _READERS:
        found = reader(parts)
        if found is not None:
            break
    return found
