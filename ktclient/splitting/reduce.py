"""Many answers brought together in requests that hold them: which goes with which. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """What was answered from parts `first` to `last`; `tokens` it is at most, with its heading."""

    first: int
    last: int
    text: str
    tokens: int


def groups(sizes: Sequence[int], room: int) -> list[range]:
    """Neighbours that go into one request together, in order: of at most `room` tokens, and about
    equal. Where not even two fit, two are put together all the same, or it would never end."""
    total = sum(sizes)
    if total <= room or len(sizes) < 2:
        return [range(len(sizes))]
    aim = total / math.ceil(total / room)
    starts, filled = [0], 0
    for place, size in enumerate(sizes):
        if place and (filled >= aim or filled + size > room):
            starts.append(place)
            filled = 0
        filled += size
    if len(starts) > math.ceil(len(sizes) / 2):
        starts = list(range(0, len(sizes), 2))
    return [range(a, b) for a, b in zip(starts, [*starts[1:], len(sizes)], strict=True)]


def levels(count: int, size: int, room: int) -> list[int]:
    """How many requests each level takes, until one is left, when all answers are so long."""
    found = []
    while True:
        made = len(groups([size] * count, room))
        found.append(made)
        if made == 1:
            return found
        count = made
