"""Lines on stdout (data) and stderr (notes for people)."""

from __future__ import annotations

import sys

from jobs import known_secrets
from ktclient.cli import standard_streams
from ktclient.cli.render import terminal_text


def note(message: str) -> None:
    """Print a message for people on stderr, without secrets; stdout is for data only."""
    text = terminal_text.safe(known_secrets.hide_shapes(message))
    if sys.stderr.isatty():
        import shutil

        room = shutil.get_terminal_size().columns
        text = "\n".join(terminal_text.wrapped(line, room) for line in text.split("\n"))
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError as error:  # a message lost on a full disk is no reason to stop
        if not standard_streams.is_lost(error):
            raise
        standard_streams.silence(sys.stderr)


def print_data(text: str) -> None:
    """Print data on stdout: raw into a pipe or a file, without control characters on a terminal."""
    print(terminal_text.safe(text) if sys.stdout.isatty() else text, flush=True)


def print_part(text: str) -> None:
    """Print a piece of data on stdout like `put`, without adding a line end."""
    print(terminal_text.safe(text) if sys.stdout.isatty() else text, end="", flush=True)


def print_painted(text: str) -> None:
    """Print lines made by `painted` on stdout, unchanged. They must be safe already."""
    print(text, flush=True)
