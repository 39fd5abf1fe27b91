"""systemd's own checker of unit files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def missing() -> str | None:
    """What this machine lacks for it; None when it is there."""
    if shutil.which("systemd-analyze") is None:
        return "there is no systemd-analyze"
    return None


def complaints(unit: Path) -> list[str]:
    """What it has to say about this unit."""
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    found = [line for line in done.stderr.splitlines() if unit.name in line]
    return found if found or done.returncode == 0 else done.stderr.splitlines()
