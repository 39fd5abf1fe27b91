"""A page on the terminal that is drawn again and again, on the alternate screen: what was there
before is there again afterwards, whatever the window's size was meanwhile."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# xterm's, which all terminals of today know (invisible-island.net/xterm/ctlseqs).
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_PAGE = "\x1b[H", "\x1b[K", "\x1b[J"
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Page:
    """The whole terminal."""

    def __init__(self) -> None:
        self._shown: tuple[object, ...] = ()

    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        columns, lines = shutil.get_terminal_size()
        return columns, lines

    def show(self, lines: list[str]) -> None:
        """Draw these lines, which fit, if they are not there already."""
        now = (self.size(), tuple(lines))
        if now == self._shown:
            return
        self._shown = now
        body = "\r\n".join(f"{line}{_REST_OF_LINE}" for line in lines)
        _write(f"{_HOME}{body}{_REST_OF_PAGE}")

    def forget(self) -> None:
        """Whatever is there, the next lines are drawn."""
        self._shown = ()


@contextmanager
def page() -> Iterator[Page]:
    """A page for as long as the block runs. A signal that ends or stops us gives the terminal
    back first: a shell without a cursor is a bad thing to come home to."""
    drawn = Page()

    def end(number: int, frame: FrameType | None) -> None:
        _write(_LEAVE)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def stop(number: int, frame: FrameType | None) -> None:
        _write(_LEAVE)
        signal.raise_signal(signal.SIGSTOP)
        _write(_ENTER)
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


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
