"""From a log line to its event."""

from __future__ import annotations

from server_bundle.logs import access, batches, failures, ktransformers, line, memory, start_stages
from server_bundle.logs.access import HttpAnswer
from server_bundle.logs.batches import DecodeBatch, PrefillBatch
from server_bundle.logs.failures import Trouble
from server_bundle.logs.ktransformers import LayerComputed, SlowPath
from server_bundle.logs.line import Line
from server_bundle.logs.memory import Limits, MemoryFigures, Pools, PrefillSlots, StagingBuffer
from server_bundle.logs.start_stages import Bar, Ready, StageReached

Event = (
    PrefillBatch
    | DecodeBatch
    | StageReached
    | Bar
    | Ready
    | Limits
    | Pools
    | MemoryFigures
    | PrefillSlots
    | StagingBuffer
    | LayerComputed
    | SlowPath
    | HttpAnswer
    | Trouble
)
_READERS = (
    batches.read,
    ktransformers.read,
    access.read,
    failures.read,
    start_stages.read,
    memory.read,
)


def read(raw: str) -> tuple[Line, Event | None]:
    """The line and its event; None for an unknown line. Never raises."""
    parts = line.read(raw)
    return parts, of_line(parts)


def of_line(parts: Line) -> Event | None:
    """The event of a parsed line; None for an unknown one."""
    found: Event | None = None
    for reader in _READERS:
        found = reader(parts)
        if found is not None:
            break
    return found
