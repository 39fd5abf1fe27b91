"""A file whose name comes from the user: links are followed, its owner and mode stay, and whatever
is no regular file is refused without opening it, because opening a pipe may wait for ever."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from pathlib import Path

from jobs import draft

STDOUT = 1
_MOST_LINKS = 40
"""As the kernel has it (path_resolution(7))."""
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,9})")
_STREAMS = {"-": STDOUT, "/dev/stdout": STDOUT, "/dev/stderr": 2}
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_FOLDER_REFUSES = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY)


def descriptor(name: str) -> int | None:
    """The open file of this process that a name means: "-", /dev/stdout, /dev/fd/N. None for any
    other name."""
    found = _DESCRIPTOR.fullmatch(name)
    return int(found[1]) if found else _STREAMS.get(name)


def write_to_descriptor(number: int, content: bytes) -> None:
    """Write to a file that is open already, such as the pipe of a shell's `>(...)`. Raises
    `OSError`."""
    with os.fdopen(os.dup(number), "wb") as file:
        file.write(content)


def irregular(path: Path) -> str | None:
    """What is there, if it is no regular file: "a named pipe". None for a regular file, for a link
    to one, and where nothing is. Opens nothing. Raises `OSError` where that cannot be seen."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(mode):
        return None
    return next((words for is_it, words in _KINDS if is_it(mode)), "no regular file")


def followed(path: Path) -> Path:
    """The path without links, where the last name may be missing. Raises `OSError`: for a link that
    another user made in a folder where everybody may (/tmp), because it leads wherever that user
    wants; and for a circle of links."""
    place = Path("/") if path.is_absolute() else Path.cwd()
    rest, links = [*reversed(path.parts)], 0
    while rest:
        name = rest.pop()
        if name in ("/", "", "."):
            continue
        if name == "..":
            place = place.parent
            continue
        step = place / name
        try:
            target = os.readlink(step)
        except OSError:  # no link, or nothing there
            place = step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        _refuse_strange_link(step, place)
        if target.startswith("/"):
            place = Path("/")
        rest += reversed(target.split("/"))
    return place


def _refuse_strange_link(link: Path, folder: Path) -> None:
    """What the kernel refuses where fs.protected_symlinks is set (proc(5)); it cannot know that a
    path was followed before."""
    made, around = os.lstat(link), os.stat(folder)
    is_for_all = around.st_mode & stat.S_ISVTX and around.st_mode & 0o002
    if is_for_all and made.st_uid not in (os.geteuid(), around.st_uid):
        told = f"{link} is a symbolic link that another user made, in a folder where all may write"
        raise PermissionError(errno.EACCES, told, str(link))


def write(path: Path, content: bytes) -> bool:
    """Write the whole file, or leave it as it was. A new file gets the mode that the umask gives;
    an old one keeps its mode and, where that is permitted, its owner.

    Returns False if it was overwritten in place, because its folder takes no new file: then it may
    hold a part after an error. Raises `OSError`, also for what `irregular` names.
    """
    target = followed(path)
    if (what := irregular(target)) is not None:
        raise OSError(errno.EINVAL, f"it is {what}, not a regular file", str(path))
    try:
        draft.write(target, content, mode=None, keeps=True)
    except OSError as error:
        if error.errno not in _FOLDER_REFUSES or not os.access(target, os.W_OK):
            raise
        _overwrite(target, content)
        return False
    return True


def _overwrite(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with contextlib.closing(os.fdopen(fd, "wb")) as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        file.write(content)
        file.truncate()
        os.fsync(fd)
