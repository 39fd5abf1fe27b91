"""What the terminal can do: width, redrawing, colours."""

from __future__ import annotations

import os
import sys


def columns() -> int | None:
    """The places of a line on the terminal that stdout is; None where it is none."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def is_dumb() -> bool:
    return os.environ.get("TERM") == "dumb"


def is_interactive() -> bool:
    """Whether a live line may be drawn on stderr."""
    return sys.stderr.isatty() and not is_dumb()


def can_redraw() -> bool:
    """Whether stdout is a terminal on which what was drawn can be drawn again."""
    return sys.stdout.isatty() and not is_dumb()


def is_coloured() -> bool:
    """Whether stdout is to have colours. NO_COLOR (no-color.org) wins over FORCE_COLOR
    (force-color.org), and that over TERM=dumb and a pipe: the order of CPython's `_colorize`."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return can_redraw()


STYLES = {"title": "1", "running": "1;36", "good": "32", "bad": "1;31", "odd": "35", "mark": "1"}
"""Of the 16 colours that a terminal's theme makes readable on its own background: neither yellow,
which is lost on white, nor blue and grey, which are on black. Each stands beside its word."""


def painted(text: str, style: str) -> str:
    """The text, which must be harmless already, in a style."""
    if not style or not text:
        return text
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m"
