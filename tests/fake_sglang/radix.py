"""The prefix cache: what a prompt shares with earlier ones needs no prefill."""

from __future__ import annotations

from collections.abc import Callable


def shared(one: str, other: str) -> int:
    """Length of the common beginning, by bisection: prompts have millions of characters."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class Radix:
    """Prompts whose KV is still in the pool, the most recently used last."""

    def __init__(self, is_on: bool, count: Callable[[str], int]) -> None:
        self._is_on = is_on
        self._count = count
        self._kept: list[tuple[str, int]] = []

    @property
    def tokens(self) -> int:
        """What it keeps; sglang calls it evictable, and does not count it as used."""
        return sum(tokens for _, tokens in self._kept)

    def match(self, text: str) -> int:
        """Tokens of `text` that need no prefill."""
        best = 0
        for kept, tokens in self._kept:
            length = shared(text, kept)
            best = max(best, min(tokens, self._count(text[:length])) if length else 0)
        return best

    def keep(self, text: str, tokens: int) -> None:
        """A request has left this much of its prompt in the pool."""
        if not self._is_on or not text:
            return
        self._kept = [
            (one, n) for one, n in self._kept if not (text.startswith(one) and n <= tokens)
        ]
        self._kept.append((text, tokens))

    def evict(self, room: int) -> None:
        """Forget the oldest until all fits into `room` tokens."""
        while self._kept and self.tokens > room:
            self._kept.pop(0)
