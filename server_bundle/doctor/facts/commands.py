"""Running programs that report about the machine: the only module of the doctor that does so."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from jobs import child_environment

PATIENCE_SECONDS = 30.0
"""Timeout. nvidia-smi takes seconds without the persistence daemon; with a hung driver it never
ends."""


@dataclass(frozen=True)
class Answer:
    """A program's exit status and output."""

    status: int
    out: str
    err: str = ""

    @property
    def words(self) -> str:
        """Its last line of output, of stderr before stdout: for messages."""
        lines = f"{self.out}\n{self.err}".strip().splitlines()
        return lines[-1].strip() if lines else f"exit code {self.status}, without any output"


def run(argv: Sequence[str]) -> Answer | None:
    """Run a program to its end; None where no such program exists."""
    try:
        done = subprocess.run(
            argv,
            env=child_environment.inherited(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except subprocess.TimeoutExpired:
        return Answer(124, "", f"no answer in {PATIENCE_SECONDS:.0f} s")
    return Answer(
        done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )
