"""Programs that are asked about the machine: the doctor's one door to processes."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

PATIENCE_SECONDS = 30.0
"""nvidia-smi takes seconds without the persistence daemon; a hung driver never answers."""


@dataclass(frozen=True)
class Answer:
    """How a program ended, and what it said."""

    status: int
    out: str
    err: str = ""

    @property
    def words(self) -> str:
        """Its last line, of whichever stream has one: for messages."""
        lines = f"{self.out}\n{self.err}".strip().splitlines()
        return lines[-1].strip() if lines else f"it ended with {self.status} and said nothing"


def run(argv: Sequence[str]) -> Answer | None:
    """Run a program to its end; None where there is none of that name."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_SECONDS
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except subprocess.TimeoutExpired:
        return Answer(124, "", f"no answer in {PATIENCE_SECONDS:.0f} s")
    return Answer(
        done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )
