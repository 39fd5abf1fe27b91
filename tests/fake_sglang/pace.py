"""How long a chunk of prefill takes, when it slows down along the prompt."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """Tokens per second at the start of a prompt, and `later` at token `at`.

    Attention looks back at everything before, so seconds per token grow linearly with position:
    the guide's deployment, 590:320@600000, takes 24 minutes for 600,000 tokens ("about 23").
    """

    first: float
    later: float
    at: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """`590:320@600000`, or `590` for the same everywhere."""
        found = re.fullmatch(r"([\d.]+)(?::([\d.]+)@(\d+))?", text)
        first = float(found[1]) if found else 0.0
        later = float(found[2] or first) if found else 0.0
        if not found or first <= 0 or later <= 0:
            raise argparse.ArgumentTypeError(f"{text!r} is not a rate such as 590:320@600000")
        return cls(first, later, int(found[3] or 1))

    def times(self, speed: float) -> Rate:
        """The same server with a faster clock."""
        return Rate(self.first * speed, self.later * speed, self.at)

    def seconds(self, start: int, end: int) -> float:
        """For the tokens from `start` up to `end` of one prompt."""
        growth = (1 / self.later - 1 / self.first) / self.at
        return (end - start) / self.first + growth * (end**2 - start**2) / 2
