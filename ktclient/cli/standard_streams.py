"""The three streams that whoever starts us may have closed, or pointed at a full disk."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import TextIO

_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def prepare() -> None:
    """A closed stream (`>&-`, a daemon's child) becomes nothing: else the next file that is opened,
    a lock or a pipe, takes its number and gets what is printed. Python has None for it then, which
    standard input keeps: what is read from there is refused in words."""
    taken = os.open(os.devnull, os.O_RDWR)
    while taken <= 2:
        os.set_inheritable(taken, True)
        taken = os.open(os.devnull, os.O_RDWR)
    os.close(taken)
    sys.stdout = sys.stdout or _onto(1)
    sys.stderr = sys.stderr or _onto(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show 红楼梦 is no failure


def _onto(fd: int) -> TextIO:
    return open(fd, "w", encoding="utf-8", closefd=False)


def is_lost(error: OSError) -> bool:
    """Whether this is what a print meets on a full disk or a terminal that has gone: an error of a
    file that was opened would name it."""
    return error.filename is None and error.errno in _LOST


def silence(stream: TextIO) -> None:
    """What is still to be written there goes nowhere. Python would complain again at its exit."""
    with contextlib.suppress(OSError, ValueError):  # it may be no file of the kernel's
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
