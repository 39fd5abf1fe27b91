"""Folders that only their owner can use, whatever the umask is.

`Path.mkdir(mode=0o700, parents=True)` gives that mode to the last folder only: the parents get what
the umask leaves of 0777. And a umask such as 0277 takes the owner's own rights away.
"""

from __future__ import annotations

import os
from pathlib import Path

MODE = 0o700


def make(folder: Path) -> None:
    """Make the folder and those above it that do not exist, each with mode 0700. An existing folder
    stays as it is. Raises `FileExistsError` where a file or a dangling link is in the way, and
    other kinds of `OSError`, with the path."""
    try:
        make_one(folder)
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        make(folder.parent)
        make_one(folder)


def make_one(folder: Path) -> None:
    """The same for a folder whose parent exists. Raises `FileNotFoundError` if it does not."""
    try:
        os.mkdir(folder, MODE)
    except FileExistsError:
        if not folder.is_dir():
            raise
    except OSError:  # of a disk that is read-only, for example
        if not folder.is_dir():
            raise
    else:
        if MODE & ~os.lstat(folder).st_mode:  # not where a file system has modes of its own
            os.chmod(folder, MODE)
