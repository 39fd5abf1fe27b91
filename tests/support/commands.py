"""Commands of `ktjob` as tests run them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., "subprocess.CompletedProcess[str]"]
"""A `ktjob` command by its words; its output as text."""


def runner(ktjob_command: list[str], folder: Path) -> Run:
    """Runs commands in a folder. None of them may print a traceback."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*ktjob_command, *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run
