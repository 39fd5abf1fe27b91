"""What is wrong with a database or its folder, in words: what happened and its own cure.

Pure but for a look at what there is: SQLite calls a full disk, or too many open files, an I/O error
where it meets them while it maps or opens a file.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from jobs.errors import StoreDamaged, StoreUnusable

LEAST_FREE_BYTES = 256 * 1024
"""Below that a disk is full for SQLite: a first write needs 32 KB for its index alone."""

_ELSEWHERE = "point KTJOB_HOME at a writable folder on a local disk"
_CURES = {
    "full": (
        "its disk is full. Nothing was stored. Free a megabyte there; then `ktjob gc` can free more"
    ),
    "read-only": f"it is read-only. Mount it for writing, or {_ELSEWHERE}",
    "not ours": f"we may not write there. Make it yours (chown, chmod), or {_ELSEWHERE}",
    "locked": (
        "another process has kept it locked for too long. Look which (`fuser FILE`), and try again"
    ),
    "files": "too many files are open. Raise the limit (`ulimit -n`), and try again",
    "disk": "its disk cannot be read or written. Look for its errors (`dmesg`), and try again",
    "folder": f"there is a folder in its place. Move that away, or {_ELSEWHERE}",
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
    """What SQLite complains about, of the database at `path`."""
    told = str(error)
    if any(words in told.lower() for words in _DAMAGE):
        return damaged(told, path)
    kind = next((kind for words, kind in _BY_WORDS if words in told), None)
    if kind == "disk":
        kind = _really(path)
    return _unusable(kind, told, path)


def of_system(error: OSError, path: Path) -> StoreUnusable:
    """What the kernel complains about, of a file or folder of the store."""
    return _unusable(_BY_ERRNO.get(error.errno or 0), error.strerror or str(error), path)


def damaged(told: str, path: Path) -> StoreDamaged:
    """The file is there and is not what we wrote."""
    return StoreDamaged(
        f"the job database {path} is damaged: {told}. `ktjob doctor` says more. Move it away with "
        f"its -wal and -shm files, and put a backup in its place, if there is one (`ktjob backup` "
        f"makes them); `sqlite3 {path.name} .recover` may save what can be read"
    )


def _unusable(kind: str | None, told: str, path: Path) -> StoreUnusable:
    cure = _CURES.get(kind or "", f"`ktjob doctor` may say why; or {_ELSEWHERE}")
    return StoreUnusable(f"cannot use {path} ({told}): {cure.replace('FILE', str(path))}.")


def _really(path: Path) -> str:
    """The reason behind an I/O error, as far as it shows."""
    if _lacks_files():
        return "files"
    try:
        if shutil.disk_usage(path.parent).free < LEAST_FREE_BYTES:
            return "full"
        flags = os.statvfs(path.parent).f_flag
    except OSError:
        return "disk"
    return "read-only" if flags & os.ST_RDONLY else "disk"


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
