"""Why a file cannot be created or grow: a full disk, no inodes, a used-up quota, or a limit on the
size of files.

The kernel has one error for the first two, and SQLite calls the last two an I/O error. So the file
system and this process are looked at: it is the only way to name the fix.
"""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

FULL, INODES, QUOTA, SIZE = KINDS = ("full", "inodes", "quota", "size")
NUMBERS = {errno.ENOSPC: FULL, errno.EDQUOT: QUOTA, errno.EFBIG: SIZE}
"""Kernel error -> kind, as far as it says so by itself."""
TRIAL_BYTES = 64 * 1024
"""How much is written to find a quota."""
MOST_AT_ONCE_BYTES = 1_000_000_000
"""No single write makes a file grow by more."""


def of_error(error: OSError, path: Path) -> str | None:
    """The kind of shortage that the kernel reported for `path`; None for any other error."""
    kind = NUMBERS.get(error.errno or 0)
    if kind != FULL:
        return kind
    disk = _disk(path)
    return INODES if disk is not None and _lacks_inodes(disk) and not _lacks_blocks(disk) else FULL


def likely(path: Path, least_bytes: int, also: tuple[Path, ...] = ()) -> str | None:
    """The most likely kind of shortage after a write to `path` or to its companions `also` failed
    for a reason that is not known: less than `least_bytes` free, for one. None where there is none.
    Writes a nameless file for a moment."""
    disk = _disk(path)
    if disk is None:
        return None
    if disk.f_bavail * disk.f_frsize < least_bytes:
        return FULL
    if _lacks_inodes(disk):
        return INODES
    refused = _trial(path.parent)
    if refused:
        return NUMBERS.get(refused)
    limit, largest = size_limit(), max(map(_size, (path, *also)))
    return SIZE if limit is not None and limit < largest + MOST_AT_ONCE_BYTES else None


def reason(error: OSError, path: Path) -> str | None:
    """Why a file could not be written and what to do, as sentences without the last full stop;
    None for an error of another kind."""
    kind = of_error(error, path)
    return None if kind is None else ". ".join(words(kind))


def words(kind: str) -> tuple[str, str]:
    """What is lacking, as a sentence about a file's disk or the file; and what to do, as a
    sentence."""
    if kind == INODES:
        return (
            "its file system has no inodes left (`df -i`), so it takes no more files, even if it "
            "has free space"
        ), "Delete files there that are not needed"
    if kind == QUOTA:
        return (
            "your quota on its disk is used up (`quota -s`)",
            "Delete some of your files there, or ask the administrator for a larger quota",
        )
    if kind == SIZE:
        return _about_size()
    return "its disk is full", "Free some space there"


def _about_size() -> tuple[str, str]:
    limit = size_limit()
    if limit is None:
        return "its file system takes no file of that size", "Use another file system"
    return (
        f"it has reached the limit on file sizes, {limit:,} bytes (`ulimit -f`)",
        f"Raise the limit: `ulimit -f unlimited` before the command; for process {os.getpid()}, "
        f"while it runs, `prlimit --fsize=unlimited --pid {os.getpid()}` as root",
    )


def size_limit() -> int | None:
    """The largest size of a file that this process may write, in bytes; None without a limit."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _disk(path: Path) -> os.statvfs_result | None:
    for place in (path, *path.parents):
        try:
            return os.statvfs(place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def _lacks_inodes(disk: os.statvfs_result) -> bool:
    return bool(disk.f_files) and not disk.f_favail  # btrfs has no fixed number, and says 0 of 0


def _lacks_blocks(disk: os.statvfs_result) -> bool:
    return not disk.f_bavail


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _trial(folder: Path) -> int:
    """The error of a write in a folder; 0 where there is none, or where it cannot be tried."""
    try:
        fd = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:  # some file systems have no nameless files
        return error.errno or 0
    try:
        os.pwrite(fd, bytes(TRIAL_BYTES), 0)
        os.fsync(fd)
    except OSError as error:
        return error.errno or 0
    finally:
        os.close(fd)
    return 0
