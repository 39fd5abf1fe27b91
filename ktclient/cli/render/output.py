"""Lines on stdout (data) and stderr (notes for people)."""

from __future__ import annotations

import sys

from jobs import known_secrets
from ktclient.cli import standard_streams
from ktclient.cli.render import terminal, terminal_text


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
    """Print data on stdout: raw into a pipe or a file, without control characters on a terminal.
    What a terminal cannot show is replaced; `note_replaced` says so at the end."""
    print_part(f"{text}\n")


def print_lines(text: str) -> None:
    """Print lines for people on stdout: on a terminal, words wrap. Lines that begin with two blanks
    are quoted text and stay as they are."""
    room = terminal.columns()
    if room is not None:
        lines = terminal_text.safe(text).split("\n")
        text = "\n".join(
            line if _is_quoted(line) else terminal_text.wrapped(line, room) for line in lines
        )
    print_data(text)


def print_answer(text: str) -> None:
    """Print a whole answer on stdout like `print_data`; on a terminal, the words of its prose
    wrap."""
    room = terminal.columns()
    print_data(
        text if room is None else terminal_text.wrapped_prose(terminal_text.safe(text), room)
    )


def _is_quoted(line: str) -> bool:
    return line.startswith("  ") and not line.startswith("   ")


def print_part(text: str) -> None:
    """Print a piece of data on stdout like `print_data`, without adding a line end."""
    if sys.stdout.isatty():
        text = terminal_text.safe(text)
        _count_replaced(text)
    print(text, end="", flush=True)


def _count_replaced(text: str) -> None:
    global _replaced
    _replaced += standard_streams.unshown(text)


_replaced = 0


def note_replaced() -> None:
    """Say how many characters of the data on stdout were replaced by "?", if any."""
    if _replaced:
        note(
            f'note: {_replaced:,} characters of the output are shown as "?", because this '
            f"terminal's encoding ({sys.stdout.encoding}) lacks them. Set a UTF-8 locale "
            "(export LC_ALL=C.UTF-8), or "
            "write the output to a file, which is always UTF-8"
        )


def print_painted(text: str) -> None:
    """Print lines made by `painted` on stdout, unchanged. They must be safe already."""
    if sys.stdout.isatty():
        _count_replaced(text)
    print(text, flush=True)
