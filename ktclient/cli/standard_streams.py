"""Standard streams that the caller may have closed or redirected to a full disk."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import TextIO

_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def prepare() -> None:
    """Point each closed stream (`>&-`, a daemon's child) to /dev/null.

    Otherwise the next file that is opened, such as a lock or a pipe, gets its number and receives
    what is printed. For a closed stream Python has None; `sys.stdin` stays None, so that reading
    from it is refused with a clear message.
    """
    taken = os.open(os.devnull, os.O_RDWR)
    while taken <= 2:
        os.set_inheritable(taken, True)
        taken = os.open(os.devnull, os.O_RDWR)
    os.close(taken)
    sys.stdout = sys.stdout or _onto(1)
    sys.stderr = sys.stderr or _onto(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            _choose_encoding(stream)
    sys.stdout = _whole(sys.stdout)


def _choose_encoding(stream: io.TextIOWrapper) -> None:
    """UTF-8 into a file or a pipe, whatever the locale is: an answer is UTF-8, and must come out as
    it came in. A terminal gets its own encoding; `unshown` counts what it cannot show."""
    if stream.isatty():
        stream.reconfigure(errors="replace")
    else:
        stream.reconfigure(encoding="utf-8", errors="replace")  # replaces only half characters


def _whole(stream: TextIO) -> TextIO:
    """The same stream, or one that writes all of a text or raises. Under PYTHONUNBUFFERED Python's
    own writes as much as the kernel takes, and drops the rest without an error: a disk that becomes
    full cuts an answer."""
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(stream.buffer, io.FileIO):
        return stream
    raw = io.BufferedWriter(io.FileIO(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(raw, stream.encoding, stream.errors, line_buffering=True)


def unshown(text: str) -> int:
    """How many characters of a text stdout shows as "?", because its encoding lacks them."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return len(text) - len(text.encode(encoding, "ignore").decode(encoding))
    return 0


def _onto(fd: int) -> TextIO:
    return open(fd, "w", encoding="utf-8", closefd=False)


def is_lost(error: OSError) -> bool:
    """Whether a print failed because of a full disk or a closed terminal. The error of a file that
    was opened has a file name and is something else."""
    return error.filename is None and error.errno in _LOST


def silence(stream: TextIO) -> None:
    """Discard what is still to be written: otherwise Python reports the error again at exit."""
    with contextlib.suppress(OSError, ValueError):  # it may have no file descriptor
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
