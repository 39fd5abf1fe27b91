"""What a reader has seen in a document and cannot give as text, counted."""

from __future__ import annotations

import re
from collections import Counter

from ktclient import wording

_MOST_KINDS = 12
_MOST_LONG = 60
"""Of a noun, if it comes from the document."""
_FILE = re.compile(r"\S+\.(?:png|jpe?g|gif|svg|webp|bmp|emf|wmf|tiff?)", re.I)


def described(text: str) -> str:
    """A picture's description on one line; "" if a program wrote its file's name there."""
    words = " ".join(text.split())
    return "" if _FILE.fullmatch(words) else words


class LeftOut:
    """Numbers of things by their noun, whose plural ends in s."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._said: list[str] = []

    def add(self, noun: str, number: int = 1) -> None:
        """Count so many of them; none is nothing."""
        if number > 0:
            self._counts[noun[:_MOST_LONG]] += number

    def say(self, words: str) -> None:
        """Note something else; once, if it is said again."""
        if words not in self._said:
            self._said.append(words)

    def words(self) -> str:
        """The end of a sentence: ", without 2 pictures and 1 chart"; empty if nothing is missing.
        The most frequent kinds if there are many."""
        found = [wording.count(number, noun) for noun, number in self._counts.most_common()]
        said = "".join(f", {words}" for words in self._said)
        if not found:
            return said
        if len(found) > _MOST_KINDS:
            found[_MOST_KINDS:] = [f"{len(found) - _MOST_KINDS} other kinds of content"]
        return f", without {' and '.join(filter(None, [', '.join(found[:-1]), found[-1]]))}{said}"
