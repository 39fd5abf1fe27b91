"""Error messages for a database or its folder: what happened, and how to fix it.

It changes nothing; it only looks at the disk, the limits and the open files. SQLite reports a full
disk, a used-up quota or too many open files as an I/O error when it maps or opens a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from jobs.errors import (
    StoreCopied,
    StoreDamaged,
    StoreLinked,
    StoreTorn,
    StoreUnusable,
)
from jobs.system import no_memory, no_room

LEAST_FREE_BYTES = 256 * 1024
"""With less free space SQLite cannot write: the first write needs 32 KB for its index alone."""

_ELSEWHERE = "set KTJOB_HOME to a writable folder on a local disk"
_CURES = {
    "read-only": f"it is read-only. Mount it for writing, or {_ELSEWHERE}",
    "not ours": f"you have no write permission. Grant it (chown, chmod), or {_ELSEWHERE}",
    "locked": (
        "another process has kept it locked for too long. Find that process with `fuser FILE`, "
        "then try again"
    ),
    "files": "too many files are open. Raise the limit (`ulimit -n`), then try again",
    "disk": "its disk cannot be read or written. Check `dmesg` for disk errors, then try again",
    "gone": "the disk behind it is gone. Mount it again, then try again",
    "folder": f"it is a folder, not a file. Move it away, or {_ELSEWHERE}",
}
_BY_ERRNO = {
    errno.EROFS: "read-only",
    errno.EACCES: "not ours",
    errno.EPERM: "not ours",
    errno.EMFILE: "files",
    errno.ENFILE: "files",
    errno.EIO: "disk",
    errno.ENOTCONN: "gone",
    errno.ESTALE: "gone",
    errno.ENODEV: "gone",
    errno.EISDIR: "folder",
}
# The words of sqlite3ErrStr(), the same since 3.7: Python 3.10 has no error codes.
_BY_WORDS = (
    ("database or disk is full", "full"),
    ("readonly database", "read-only"),
    ("is locked", "locked"),
    ("locking protocol", "locked"),
    ("disk I/O error", "disk"),
    ("unable to open database file", "disk"),
)
_DAMAGE = ("malformed", "is not a database", "could not decode", "no such table", "no such column")


def of_sqlite(error: Exception, path: Path) -> StoreUnusable:
    """The error for what SQLite reported about the database at `path`."""
    told = str(error)
    if any(words in told.lower() for words in _DAMAGE):
        return damaged(told, path)
    kind = next((kind for words, kind in _BY_WORDS if words in told), None)
    if kind == "disk" and no_memory.is_short():
        return of_memory(error, path)
    if kind in ("disk", "full"):
        kind = _really(path, kind)
    return _unusable(kind, told, path)


def of_system(error: OSError, path: Path) -> StoreUnusable:
    """The error for what the kernel reported about a file or folder of the store."""
    kind = no_room.of_error(error, path) or _BY_ERRNO.get(error.errno or 0)
    return _unusable(kind, error.strerror or str(error), path)


def of_memory(error: Exception, path: Path) -> StoreUnusable:
    """The error for a read or write of the store that found no memory."""
    return StoreUnusable(f"cannot use {path}: {no_memory.words(error)}.")


def _no_room(kind: str) -> str:
    """What a file of the store lacks, and what to do: for a write that was refused."""
    what, cure = no_room.words(kind)
    if kind == no_room.FULL:
        cure = "Free a megabyte there, then run `ktjob gc` to free more"
    return f"{what}. Nothing was stored. {cure}"


def damaged(told: str, path: Path) -> StoreDamaged:
    """The error for a database file that exists but is damaged."""
    return StoreDamaged(
        f"the job database {path} is damaged: {told}. Run `ktjob doctor` for details. Move it away "
        f"with its -wal and -shm files, and restore a backup if there is one (`ktjob backup` makes "
        f"them); `sqlite3 {path.name} .recover` may save what can be read"
    )


def missing(path: Path) -> StoreUnusable:
    """The error for a database that was there before."""
    return StoreUnusable(
        f"{path} is not there any more: its folder was moved or deleted, or its disk is not mounted"
    )


def copied(path: Path, original: str) -> StoreCopied:
    """The error for using a copy of another state directory's database."""
    what = f"is a copy of {original}"
    if original == os.path.realpath(path):
        what = "was copied from another machine, or this machine has got another id"
    return StoreCopied(
        f"{path} {what}. Its jobs can be listed and read here, but nothing runs, because the "
        "original may still run them. To run them here instead, stop the original and run "
        "`ktjob adopt`. For a new queue, set KTJOB_HOME to another folder"
    )


def linked(path: Path, original: str) -> StoreLinked:
    """The error for a hard link to another state directory's database."""
    return StoreLinked(
        f"{path} is a hard link to {original}: using both would damage the database. For a copy "
        f"that can be read, run `ktjob backup` there, and put that file in the place of {path}"
    )


def second_view(path: Path, original: str | None) -> StoreLinked:
    """The error for a database that may be shown in two places by a FUSE filesystem."""
    whose = "may be used elsewhere too" if original is None else f"was used as {original}"
    return StoreLinked(
        f"{path} is on a FUSE filesystem, or below one, and {whose}: if both are one file, using "
        "both would lose jobs. Use it there. If nothing uses it there any more, run `ktjob adopt`"
    )


def torn(path: Path, pid: int) -> StoreTorn:
    """The error for a database of which another process uses files that were removed."""
    return StoreTorn(
        f"cannot use {path}: its -wal or -shm file was removed while process {pid} was using it. "
        "Nothing was stored, and running requests keep their text. Try again in a minute; if this "
        f"message comes back, end process {pid}"
    )


def _unusable(kind: str | None, told: str, path: Path) -> StoreUnusable:
    if kind in no_room.KINDS:
        cure = _no_room(kind)
    else:
        cure = _CURES.get(kind or "", f"Run `ktjob doctor` to find the cause, or {_ELSEWHERE}")
    error = StoreUnusable(f"cannot use {path} ({told}): {cure.replace('FILE', str(path))}.")
    error.is_disk = kind == "disk"
    return error


def _really(path: Path, kind: str) -> str:
    """The actual reason of an I/O error, as far as it can be found."""
    if _lacks_files():
        return "files"
    beside = [path.with_name(f"{path.name}{end}") for end in ("", "-wal", "-shm")]
    with contextlib.suppress(OSError):  # of a disk that is gone
        if any(one.exists() and not os.access(one, os.R_OK | os.W_OK) for one in beside):
            return "not ours"
    also = tuple(beside[1:])
    if lacking := no_room.likely(path, LEAST_FREE_BYTES, also):
        return lacking
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return kind
    return "read-only" if disk.f_flag & os.ST_RDONLY else kind


def _lacks_files() -> bool:
    """Whether the three files of a database could not all be opened."""
    opened: list[int] = []
    try:
        for _ in range(3):
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    finally:
        for fd in opened:
            os.close(fd)
    return False
