"""The machine that a server is to run on: files below a root, programs, and room on disks.

Tests replace all three with what was recorded on other machines.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from server_bundle.doctor.facts import commands
from server_bundle.doctor.facts.commands import Answer

ROOT = Path("/")


@dataclass(frozen=True)
class Space:
    """Bytes of a filesystem."""

    total: int
    free: int


def _space(path: Path) -> Space | None:
    """Of the filesystem that holds `path`, or would; None where that cannot be known."""
    there = next((place for place in (path, *path.parents) if place.exists()), None)
    if there is None:
        return None
    usage = shutil.disk_usage(there)
    return Space(usage.total, usage.free)


@dataclass(frozen=True)
class Machine:
    """Where to read about it. Nothing here writes."""

    root: Path = ROOT
    run: Callable[[Sequence[str]], Answer | None] = commands.run
    space: Callable[[Path], Space | None] = _space
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the server's process will inherit; the plan's own comes over it."""
    ours: Mapping[int, str] = field(default_factory=dict)
    """Servers of ours that run: process number to what it is."""

    def read(self, path: str) -> str:
        """A file's text; empty where there is none or it may not be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def names(self, pattern: str) -> list[str]:
        """What matches below the root, as paths without it."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.glob(pattern))

    def home(self) -> Path:
        """Where compiled kernels are cached."""
        return Path(self.environment.get("HOME") or Path.home())
