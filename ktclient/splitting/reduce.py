"""Group many answers into requests that combine them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """The answer from parts `first` to `last`; at most `tokens` tokens, including its heading."""

    first: int
    last: int
    text: str
    tokens: int


def groups(sizes: Sequence[int], room: int) -> list[range]:
    """Neighbours that go into one request, in order: at most `room` tokens each, and about equal.
    If not even two fit, two are grouped anyway, or combining would never end."""
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
    """The number of requests of each level, until one is left, if all answers have `size`
    tokens."""
    found = []
    while True:
        made = len(groups([size] * count, room))
        found.append(made)
        if made == 1:
            return found
        count = made
