"""Commands without root's right to pass over modes and owners, and with any umask."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from support.patience import HANG_SECONDS

WITHOUT_RIGHTS = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")
"""Root stays the owner of its files, and may no more than any other owner."""


def is_possible() -> bool:
    """Whether this process is a plain user, or may become as weak as one."""
    return os.geteuid() != 0 or shutil.which("setpriv") is not None


def command(*words: str) -> list[str]:
    """The words, run without root's rights."""
    return [*(WITHOUT_RIGHTS if os.geteuid() == 0 else ()), *words]


def run(
    *words: str, umask: int = 0o022, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """One command to its end. It may print no traceback, and may not hang."""
    done = subprocess.run(
        command(*words),
        umask=umask,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def modes(root: Path) -> dict[str, int]:
    """The mode of everything below a folder that is not private: not 0700, 0600 or, of a pipe or
    socket, 0600. By the path in it; empty if all is private."""
    places = [root, *root.rglob("*")]
    wanted = {one: 0o700 if one.is_dir() else 0o600 for one in places if not one.is_symlink()}
    found = {one: one.lstat().st_mode & 0o777 for one in wanted}
    return {str(one): mode for one, mode in found.items() if mode != wanted[one]}
