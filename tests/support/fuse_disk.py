"""A folder shown through bindfs, a FUSE filesystem: its process may be killed, as a network or
encrypted folder's is when it crashes, and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path


def missing() -> str | None:
    """What this machine lacks for it, or None."""
    if shutil.which("bindfs") is None:
        return "bindfs is not installed"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    return None


class FuseDisk:
    """Shown at `path` while it is mounted."""

    def __init__(self, path: Path, backing: Path, *options: str) -> None:
        self.path = path
        self._backing = backing
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def mount(self) -> None:
        """Show the folder, and return once it is shown."""
        device = self.path.stat().st_dev
        command = ["bindfs", "-f", *self._options, str(self._backing), str(self.path)]
        self._process = subprocess.Popen(command)
        while self.path.stat().st_dev == device:
            assert self._process.poll() is None, "bindfs has ended"

    def crash(self) -> None:
        """`kill -9`: open files and the path itself are of no use any more."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def unmount(self) -> None:
        """Remove what a crash has left."""
        subprocess.run(["umount", "-l", str(self.path)], check=True)


@contextlib.contextmanager
def mounted(root: Path, *options: str) -> Iterator[FuseDisk]:
    """A fresh one below `root`. Whatever uses it must have ended before this does."""
    backing, path = root / "backing", root / "shown"
    backing.mkdir()
    path.mkdir()
    disk = FuseDisk(path, backing, *options)
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()
        disk.crash()
