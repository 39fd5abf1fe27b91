"""Redraw a page on the terminal's alternate screen.

The previous content comes back afterwards, even if the window was resized meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# xterm's sequences, which all current terminals support (invisible-island.net/xterm/ctlseqs).
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_PAGE = "\x1b[H", "\x1b[K", "\x1b[J"
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Page:
    """The whole terminal."""

    def __init__(self) -> None:
        self._shown: tuple[object, ...] = ()

    def size(self) -> tuple[int, int]:
        """The size of the terminal: columns and lines."""
        columns, lines = shutil.get_terminal_size()
        return columns, lines

    def show(self, lines: list[str]) -> None:
        """Draw these lines, unless they are on the screen already. They must fit."""
        now = (self.size(), tuple(lines))
        if now == self._shown:
            return
        self._shown = now
        body = "\r\n".join(f"{line}{_REST_OF_LINE}" for line in lines)
        _write(f"{_HOME}{body}{_REST_OF_PAGE}")

    def forget(self) -> None:
        """Draw the next lines in any case."""
        self._shown = ()


@contextmanager
def page() -> Iterator[Page]:
    """A page while the block runs. A signal that ends or suspends the process restores the terminal
    first: without that, the shell would have no cursor."""
    drawn = Page()

    def end(number: int, frame: FrameType | None) -> None:
        _write_now(_LEAVE)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def stop(number: int, frame: FrameType | None) -> None:
        _write_now(_LEAVE)
        signal.raise_signal(signal.SIGSTOP)
        _write_now(_ENTER)
        drawn.forget()

    handlers = {**dict.fromkeys(_ENDING, end), signal.SIGTSTP: stop}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    _write(_ENTER)
    try:
        yield drawn
    finally:
        _write(_LEAVE)
        for number, handler in before.items():
            signal.signal(number, handler)


def _write_now(text: str) -> None:
    """For a signal handler, which may have interrupted `_write`: Python's stream refuses a second
    caller."""
    with contextlib.suppress(OSError):  # the terminal is gone
        os.write(sys.stdout.fileno(), text.encode())


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
