"""Which other processes use a file, as the kernel says."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from pathlib import Path

_FLOCK = "hhxxxxqqixxxx"
"""struct flock of 64-bit Linux (fcntl(2))."""


def lock_holder(path: Path, first: int, size: int) -> int | None:
    """The pid of another process with a POSIX lock on `size` bytes from byte `first` of a file that
    this process has open. None where there is none, or where the kernel does not say."""
    if struct.calcsize("P") != 8:
        return None
    with contextlib.suppress(OSError):
        wanted = path.stat()
        for fd in map(int, os.listdir("/proc/self/fd")):
            # Opening the file anew, to ask, would drop this process's own locks at the close.
            with contextlib.suppress(OSError):  # the listing's own descriptor, or an O_PATH one
                if os.path.samestat(os.fstat(fd), wanted):
                    return _holder(fd, first, size)
    return None


def _holder(fd: int, first: int, size: int) -> int | None:
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, first, size, 0)
    kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    return pid if kind != fcntl.F_UNLCK and pid > 0 else None


def lock_holders(path: Path) -> set[int]:
    """The pids of all processes with a POSIX lock on a file, as /proc/locks has them (proc(5)).
    Others may be among them: the file is told by its inode number alone, because btrfs and overlay
    filesystems have other device numbers there. Empty where the kernel does not say."""
    holders: set[int] = set()
    with contextlib.suppress(OSError, ValueError, IndexError):
        inode = f":{path.stat().st_ino}"
        for line in Path("/proc/locks").read_text("ascii").splitlines():
            fields = line.split()
            if fields[1] == "POSIX" and fields[5].endswith(inode):
                holders.add(int(fields[4]))
    return holders


def open_files(pid: int) -> list[str]:
    """The paths of the files that a process has open, with " (deleted)" after those of removed
    files (proc(5)). Empty for a process that has ended or belongs to another user."""
    links = []
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return links
