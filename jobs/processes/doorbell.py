"""A named pipe on which submitters ring, so that the runner sleeps without polling."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def ring(path: Path) -> None:
    """Wake the runner if one listens. Never blocks, never fails: the store holds the truth."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return  # nobody listens, or there is no bell yet
    try:
        os.write(fd, b"!")
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EPIPE):
            raise
    finally:
        os.close(fd)


def listen(path: Path) -> int:
    """Open the bell and return a file descriptor that is readable when someone has rung."""
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        if not stat.S_ISFIFO(path.stat().st_mode):
            path.unlink()
            os.mkfifo(path, 0o600)
    # Read and write: with a writer of our own the pipe never reaches its end.
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def quiet(fd: int) -> None:
    """Take all rings off the pipe."""
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        return
