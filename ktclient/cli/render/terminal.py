"""What the terminal can do: width, redrawing, colours."""

from __future__ import annotations

import os
import sys


def columns() -> int | None:
    """The width of the terminal in cells; None if stdout is no terminal."""
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
    """Whether stdout is a terminal that can be redrawn."""
    return sys.stdout.isatty() and not is_dumb()


def is_coloured() -> bool:
    """Whether to print colours on stdout. NO_COLOR (no-color.org) wins over FORCE_COLOR
    (force-color.org), which wins over TERM=dumb and a pipe: the order of CPython's `_colorize`."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return can_redraw()


STYLES = {"title": "1", "running": "1;36", "good": "32", "bad": "1;31", "odd": "35", "mark": "1"}
"""SGR codes, only of the 16 colours that a theme adapts to its background. Without yellow, which
is unreadable on white, and without blue and grey, which are unreadable on black. A colour never
carries meaning alone: the word is always there too."""


def painted(text: str, style: str) -> str:
    """The text in a style. It must be free of control characters already."""
    if not style or not text:
        return text
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m"
