"""A disk of a few megabytes (a tmpfs), to be filled to the last kilobyte, and made read-only."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


def missing() -> str | None:
    """What this machine lacks for it, or None."""
    if os.geteuid() != 0:
        return "mounting a small disk needs root"
    with tempfile.TemporaryDirectory() as folder:
        tried = _mount("-t", "tmpfs", "tmpfs", folder)
        if tried.returncode:
            return f"no tmpfs can be mounted here: {tried.stderr.strip()}"
        subprocess.run(["umount", folder], check=True)
    return None


def _mount(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *args], capture_output=True, text=True, check=False)


class SmallDisk:
    """A mounted tmpfs. `fill` leaves so many kilobytes; `free` gives all back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, leave_kib: int) -> None:
        """Write until the disk is full, then take back so much."""
        block = b"x" * 4096
        fd = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            with contextlib.suppress(OSError):
                while True:
                    os.write(fd, block)
            os.ftruncate(fd, max(0, os.fstat(fd).st_size // 4096 * 4096 - leave_kib * 1024))
        finally:
            os.close(fd)

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def allow_files(self, inodes: int) -> None:
        """Change the number of inodes; the folder itself has one."""
        self.remount(f"nr_inodes={inodes}")

    def remount(self, how: str) -> None:
        """With other options; for "ro" nobody may have a file of it open for writing."""
        done = _mount("-o", f"remount,{how}", str(self.path))
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def mounted(path: Path, mib: int = 8, inodes: int = 0) -> Iterator[SmallDisk]:
    """A fresh one at `path`, with so many inodes (0: as many as it needs). Whatever uses it must
    have ended before this does."""
    path.mkdir()
    done = _mount("-t", "tmpfs", "-o", f"size={mib}m,nr_inodes={inodes}", "tmpfs", str(path))
    assert done.returncode == 0, done.stderr
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
