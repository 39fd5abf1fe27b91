"""Chunks and words that end when a test wants it, and not when a clock says so.

A file in the server's record says how many may end since it is there; without it all do.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

LOOK_SECONDS = 0.01


def write(path: Path, allowed: int) -> None:
    """In one step: the server reads it at any moment."""
    draft = path.with_name("hold.draft")
    draft.write_text(str(allowed))
    os.replace(draft, path)


def read(path: Path) -> int:
    """How many may end; as many as there are where nothing is held."""
    try:
        return int(path.read_text())
    except FileNotFoundError:
        return sys.maxsize


class Hold:
    """The server's side."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended = 0

    def wait(self) -> None:
        """Before a chunk or a word ends."""
        while self._path.exists():
            if self._ended < read(self._path):
                self._ended += 1
                return
            time.sleep(LOOK_SECONDS)
        self._ended = 0
