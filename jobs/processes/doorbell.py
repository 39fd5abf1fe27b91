"""A named pipe that wakes the runner, so that it can sleep without polling."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def ring(path: Path) -> None:
    """Wake the runner if one listens. Never blocks, and never fails: the queue is in the store."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # no runner listens, the pipe does not exist yet, or it is a link
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):  # whoever made another file there wants it changed
            os.write(fd, b"!")
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EPIPE):
            raise
    finally:
        os.close(fd)


def listen(path: Path) -> int:
    """Create and open the pipe. Returns a file descriptor that is readable after a `ring`."""
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        is_usable = stat.S_ISFIFO(path.lstat().st_mode) and os.access(path, os.R_OK | os.W_OK)
        if not is_usable:  # another file, or another user's
            path.unlink()
            os.mkfifo(path, 0o600)
    # Open for reading and writing: with this writer the pipe never reaches end of file.
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)


def quiet(fd: int) -> None:
    """Empty the pipe."""
    try:
        while os.read(fd, 4096):
            pass
    except OSError:  # nothing more to read, or its disk is gone
        return
