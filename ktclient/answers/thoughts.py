"""Divide a model's output into thoughts and the answer, as it arrives or afterwards. Pure.

Thoughts come in a field of their own, in tags, or in gpt-oss's channels:

- What the server sends in a field for reasoning is thought, and then its content is the answer.
- Else an opening tag at the beginning of the content begins thoughts, up to its closing tag.
  Further blocks follow directly; or later, where the same tags stand around them. A block that is
  never closed is thought at the beginning, and part of the answer later.
- Else the first closing tag ends thoughts whose opening tag stood in the prompt (DeepSeek R1 and
  V4), unless an opening tag came before it.

A tag that the text only mentions (`tags.Line`) is none. What is no thought is the answer: nothing
is lost. Blanks between thoughts and the answer belong to neither. The time is linear in the length;
only what may still be a tag, or a later block, is held back.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field

from jobs.model import Piece
from ktclient.answers.divider import Divider
from ktclient.answers.stretches import ANSWER_CHANNEL, Kind, Stretch

_SLICE = 1 << 16
"""Characters that are divided at a time: an output may have a million tags."""


@dataclass(frozen=True)
class Divided:
    """The output of one attempt: all of it, or so far."""

    answer: str
    thoughts: str
    is_from_prompt: bool = field(default=False, compare=False)
    """Whether thoughts began without a tag: the opening one stood in the prompt."""

    def as_thoughts(self) -> Divided:
        """The same output if all of it was thought."""
        return Divided("", self.thoughts + self.answer, self.is_from_prompt)

    @property
    def has_words(self) -> bool:
        """Whether the answer has more than blanks."""
        return bool(self.answer.strip())


def divide(pieces: Iterable[Piece]) -> Divided:
    """The output in these pieces, in order."""
    divider, found = Divider(), Collected()
    for piece in pieces:
        for start in range(0, len(piece.text), _SLICE):
            found.add(divider.take(piece.text[start : start + _SLICE], piece.channel))
    found.add(divider.end())
    return found.divided()


def as_stored(pieces: Iterable[Piece]) -> Divided:
    """The output in pieces that were divided before they were stored."""
    found = list(pieces)
    answer = "".join(one.text for one in found if one.channel == ANSWER_CHANNEL)
    return Divided(answer, "".join(one.text for one in found if one.channel != ANSWER_CHANNEL))


def divide_text(content: str) -> Divided:
    """The same for content alone."""
    return divide([Piece(1, ANSWER_CHANNEL, content)])


class Collected:
    """Stretches, joined."""

    def __init__(self) -> None:
        self._answer, self._thoughts = io.StringIO(), io.StringIO()
        self._is_from_prompt = False

    def add(self, stretches: Iterable[Stretch]) -> None:
        for stretch in stretches:
            if stretch.kind is Kind.ANSWER:
                self._answer.write(stretch.text)
            elif stretch.kind is Kind.THOUGHTS:
                self._thoughts.write(stretch.text)
            else:
                self._thoughts.write(self._answer.getvalue())
                self._answer = io.StringIO()
                self._is_from_prompt = True

    def divided(self) -> Divided:
        answer, thoughts = self._answer.getvalue(), self._thoughts.getvalue()
        return Divided(answer, thoughts, self._is_from_prompt)
