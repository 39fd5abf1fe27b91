"""The plan to split a document that is too long for one request: stored with its job, so that every
attempt does the same. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ktclient.splitting import reduce
from ktclient.splitting.chunks import Chunk
from ktclient.tokens.estimate import Estimate

HEADING_TOKENS = 64
"""An upper bound for the heading of an answer that is combined: a number and two titles."""


@dataclass(frozen=True)
class Plan:
    """`sizes`: tokens of each chunk's whole message. `answer`: maximum tokens of each part's
    answer. `room`: tokens of answers that one request can combine. `attempts`: maximum for each
    part."""

    chunks: tuple[Chunk, ...]
    sizes: tuple[Estimate, ...]
    answer: int
    room: int
    attempts: int
    is_chinese: bool = False

    @property
    def levels(self) -> list[int]:
        """The maximum number of requests of each level of combining; the last is 1."""
        return reduce.levels(len(self.chunks), self.answer + HEADING_TOKENS, self.room)

    @property
    def total(self) -> int:
        """The maximum number of requests."""
        return len(self.chunks) + sum(self.levels)

    @property
    def largest(self) -> int:
        """Tokens of the longest part's message."""
        return max(size.likely for size in self.sizes)

    def to_dict(self) -> dict[str, object]:
        """The plan for JSON output, in characters and tokens."""
        return {
            "parts": len(self.chunks),
            "requests": self.total,
            "levels": len(self.levels),
            "answer_tokens": self.answer,
            "chunks": [
                {
                    "number": one.number,
                    "title": one.title,
                    "start": one.start,
                    "end": one.end,
                    "tokens": size.likely,
                }
                for one, size in zip(self.chunks, self.sizes, strict=True)
            ],
        }

    def to_fields(self) -> dict[str, object]:
        """The plan for storage, as JSON fields."""
        return {
            "answer": self.answer,
            "room": self.room,
            "attempts": self.attempts,
            "chinese": self.is_chinese,
            "chunks": [
                [one.lead, one.start, one.end, one.title, size.low, size.likely, size.high]
                for one, size in zip(self.chunks, self.sizes, strict=True)
            ],
        }

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Plan:
        """The plan from the fields of `to_fields`."""
        rows = fields["chunks"]
        return cls(
            chunks=tuple(
                Chunk(number, row[0], row[1], row[2], row[3]) for number, row in enumerate(rows, 1)
            ),
            sizes=tuple(Estimate(*row[4:7]) for row in rows),
            answer=fields["answer"],
            room=fields["room"],
            attempts=fields["attempts"],
            is_chinese=fields["chinese"],
        )


ANSWER = "answer"
"""The name of the part that combines all answers. Other names are "3", the third of the text, and
"2.1", the first of the second level."""
