"""Lines on stdout (data) and stderr (notes for people)."""

from __future__ import annotations

import sys

from ktclient.cli import standard_streams
from ktclient.cli.render import terminal_text


def note(message: str) -> None:
    """A line for people, on stderr: stdout carries data only."""
    text = terminal_text.safe(message)
    if sys.stderr.isatty():
        import shutil

        room = shutil.get_terminal_size().columns
        text = "\n".join(terminal_text.wrapped(line, room) for line in text.split("\n"))
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError as error:  # words for people on a full disk: no reason to end
        if not standard_streams.is_lost(error):
            raise
        standard_streams.silence(sys.stderr)


def print_data(text: str) -> None:
    """Data, on stdout. Raw into a pipe or a file; without control characters on a terminal."""
    print(terminal_text.safe(text) if sys.stdout.isatty() else text, flush=True)


def print_part(text: str) -> None:
    """A stretch of data, on stdout: as `put`, without a line end of its own."""
    print(terminal_text.safe(text) if sys.stdout.isatty() else text, end="", flush=True)


def print_painted(text: str) -> None:
    """Lines made by `painted`, on stdout, as they are: all foreign in them is harmless."""
    print(text, flush=True)
