"""Programs of others that tests run; None where the machine has none."""

from __future__ import annotations

import shutil


def nginx() -> str | None:
    """Debian puts it where only root looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def npm() -> str | None:
    return shutil.which("npm")
