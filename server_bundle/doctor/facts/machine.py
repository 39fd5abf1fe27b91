"""The machine for a server: files below a root, programs, and disk space.

Tests replace all three with recordings of other machines.
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
    """The space of the filesystem that holds `path`, which need not exist; None when unknown."""
    there = next((place for place in (path, *path.parents) if place.exists()), None)
    if there is None:
        return None
    usage = shutil.disk_usage(there)
    return Space(usage.total, usage.free)


@dataclass(frozen=True)
class Machine:
    """Access to a machine. Nothing here writes."""

    root: Path = ROOT
    run: Callable[[Sequence[str]], Answer | None] = commands.run
    space: Callable[[Path], Space | None] = _space
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that the server's process inherits; the plan's variables override them."""
    ours: Mapping[int, str] = field(default_factory=dict)
    """Running servers that ktserver started: pid -> description."""

    def read(self, path: str) -> str:
        """A file's text; empty where there is none or it may not be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def names(self, pattern: str) -> list[str]:
        """Paths below the root that match, relative to it."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.glob(pattern))

    def home(self) -> Path:
        """The home folder, where compiled kernels are cached."""
        return Path(self.environment.get("HOME") or Path.home())
