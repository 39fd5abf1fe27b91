"""Stretches of a model's output: thoughts, or the answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

ANSWER_CHANNEL, THOUGHTS_CHANNEL = "answer", "reasoning"
"""The channels of stored pieces: what came as content, and what in a field for reasoning."""


class Kind(Enum):
    """What a stretch of output is."""

    ANSWER = "answer"
    THOUGHTS = "thoughts"
    RECALL = "recall"
    """The answer so far was thought; the text is empty."""


@dataclass(frozen=True)
class Stretch:
    """Some output of one kind."""

    kind: Kind
    text: str = ""
