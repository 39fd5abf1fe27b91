"""Error messages for a database or its folder: what happened, and how to fix it.

It changes nothing; it only checks the disk and the open files, because SQLite reports a full disk
or too many open files as an I/O error when it maps or opens a file.
"""

from __future__ import annotations

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

LEAST_FREE_BYTES = 256 * 1024
"""With less free space SQLite cannot write: the first write needs 32 KB for its index alone."""

_ELSEWHERE = "set KTJOB_HOME to a writable folder on a local disk"
_CURES = {
    "full": (
        "its disk is full. Nothing was stored. Free a megabyte there, then run `ktjob gc` to free "
        "more"
    ),
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
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
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
    if kind == "disk":
        kind = _really(path)
    return _unusable(kind, told, path)


def of_system(error: OSError, path: Path) -> StoreUnusable:
    """The error for what the kernel reported about a file or folder of the store."""
    return _unusable(_BY_ERRNO.get(error.errno or 0), error.strerror or str(error), path)


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


def torn(path: Path, pid: int) -> StoreTorn:
    """The error for a database of which another process uses files that were removed."""
    return StoreTorn(
        f"cannot use {path}: its -wal or -shm file was removed while process {pid} was using it. "
        "Nothing was stored, and running requests keep their text. Try again in a minute; if this "
        f"message comes back, end process {pid}"
    )


def _unusable(kind: str | None, told: str, path: Path) -> StoreUnusable:
    cure = _CURES.get(kind or "", f"Run `ktjob doctor` to find the cause, or {_ELSEWHERE}")
    error = StoreUnusable(f"cannot use {path} ({told}): {cure.replace('FILE', str(path))}.")
    error.is_disk = kind == "disk"
    return error


def _really(path: Path) -> str:
    """The actual reason of an I/O error, as far as it can be found."""
    if _lacks_files():
        return "files"
    beside = (path.with_name(f"{path.name}{end}") for end in ("", "-wal", "-shm"))
    if any(one.exists() and not os.access(one, os.R_OK | os.W_OK) for one in beside):
        return "not ours"
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return "disk"
    if disk.f_bavail * disk.f_frsize < LEAST_FREE_BYTES:
        return "full"
    return "read-only" if disk.f_flag & os.ST_RDONLY else "disk"


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
