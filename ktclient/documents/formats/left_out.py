"""What a reader has seen in a document and cannot give as text, counted."""

from __future__ import annotations

from collections import Counter

from ktclient import wording

_MOST_KINDS = 12


class LeftOut:
    """Numbers of things by their noun, whose plural ends in s."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, noun: str, number: int = 1) -> None:
        """Count so many of them; none is nothing."""
        if number > 0:
            self._counts[noun] += number

    def words(self) -> str:
        """The end of a sentence: ", without 2 pictures and 1 chart"; empty if nothing is missing.
        The most frequent kinds if there are many."""
        found = [wording.count(number, noun) for noun, number in self._counts.most_common()]
        if not found:
            return ""
        if len(found) > _MOST_KINDS:
            found[_MOST_KINDS:] = [f"{len(found) - _MOST_KINDS} other kinds of content"]
        return ", without " + " and ".join(filter(None, [", ".join(found[:-1]), found[-1]]))
