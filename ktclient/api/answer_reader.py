"""The text of a job's answer while it arrives, from one attempt to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobs.model import Piece
from ktclient.answers.divider import Divider
from ktclient.answers.stretches import ANSWER_CHANNEL, Kind, Stretch
from ktclient.records.snapshot import Snapshot
from ktclient.records.thinking import ONLY_THOUGHTS


@dataclass(frozen=True)
class Heard:
    """A job's status, and the text of its answer since the one before."""

    now: Snapshot
    text: str
    is_recalled: bool = False
    """Whether all text so far was thought, and the answer begins with this one: a model's opening
    tag stood in the prompt, so that only its closing tag came."""


class AnswerReader:
    """Reads the pieces of one job in order. A second attempt starts again from the beginning.

    `holds` says, when the first piece of an attempt is there, whether to hold back what may turn
    out to be thought.
    """

    def __init__(self, holds: Callable[[Snapshot], bool]) -> None:
        self._holds = holds
        self._attempt = 0
        self.after = 0
        """The `seq` of the last piece that was taken."""
        self._divider: Divider | None = None

    def begin(self, now: Snapshot) -> None:
        """Before the pieces after `after` of this status's attempt are read."""
        if now.attempt != self._attempt:
            self._attempt, self.after, self._divider = now.attempt, 0, None

    def take(self, now: Snapshot, pieces: Sequence[Piece]) -> Heard:
        """What these pieces, read after that status, add to the answer."""
        self.after = pieces[-1].seq if pieces else self.after
        if now.task == "batch" or now.imported:  # nothing in it is to be divided
            found = [Stretch(Kind.ANSWER, one.text) for one in pieces if _is_content(one)]
        else:
            found = self._divide(now, pieces)
        recalled = [place for place, one in enumerate(found) if one.kind is Kind.RECALL]
        rest = found[recalled[-1] :] if recalled else found
        text = "".join(one.text for one in rest if one.kind is Kind.ANSWER)
        return Heard(now, text, bool(recalled))

    def _divide(self, now: Snapshot, pieces: Sequence[Piece]) -> list[Stretch]:
        if self._divider is None:
            if not pieces:
                return []
            self._divider = Divider(holds=self._holds(now))
        divider = self._divider
        found = [one for piece in pieces for one in divider.take(piece.text, piece.channel)]
        rest = divider.end() if now.is_finished else []
        return found if now.figures.get(ONLY_THOUGHTS) else found + rest


def _is_content(piece: Piece) -> bool:
    return piece.channel == ANSWER_CHANNEL
