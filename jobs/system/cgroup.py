"""Which cgroup a process is in, and what the kernel counts there.

All is read from files, below a root that tests replace with a folder of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
_TREES = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
"""Where cgroup v2 is mounted: alone, or beside v1 (systemd's hybrid layout)."""
_V1_MEMORY = "sys/fs/cgroup/memory"


@dataclass(frozen=True)
class Session:
    """A login session, by its systemd unit such as session-3.scope."""

    scope: str
    uid: int | None
    """The user who logged in: `su` and `sudo` stay in the session. None where the path has an
    unusual form."""


def read(root: Path, path: str | Path) -> str:
    """A file's text; empty where there is none or it may not be read."""
    try:
        return (root / path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def of(pid: int | str = "self", root: Path = ROOT) -> str:
    """The cgroups of a process in the format of cgroups(7); empty where /proc lacks them."""
    return read(root, f"proc/{pid}/cgroup")


def session_in(cgroups: str) -> Session | None:
    """The login session that these cgroups belong to."""
    found = re.search(r"(?:/user-(\d+)\.slice)?/(session-[^/\n]+\.scope)", cgroups)
    return Session(found[2], int(found[1]) if found[1] else None) if found else None


def user_manager_in(cgroups: str) -> str | None:
    """The systemd user manager above these cgroups, such as user@1000.service."""
    found = re.search(r"/(user@\d+\.service)", cgroups)
    return found[1] if found else None


def oom_kills(pid: int | str = "self", root: Path = ROOT) -> tuple[int, Path] | None:
    """How many processes of this one's cgroup the kernel killed for memory, and the file that
    counts them; None where no such file exists."""
    for path in _counters(of(pid, root)):
        counted = re.search(r"^oom_kill (\d+)$", read(root, path), re.M)
        if counted:
            return int(counted[1]), root / path
    return None


def _counters(cgroups: str) -> list[Path]:
    group = _v2_path(cgroups)
    paths = [] if group is None else [Path(tree, group, "memory.events") for tree in _TREES]
    old = re.search(r"^\d+:(?:[^:\n]*,)?memory(?:,[^:\n]*)?:/(.*)$", cgroups, re.M)
    return [*paths, Path(_V1_MEMORY, old[1], "memory.oom_control")] if old else paths


def _v2_path(cgroups: str) -> str | None:
    found = re.search(r"^0::/(.*)$", cgroups, re.M)
    return found[1] if found else None


@dataclass(frozen=True)
class Room:
    """What a limit leaves: bytes of memory, or a number of processes."""

    left: int
    limit: int
    where: Path
    """The file that holds the limit."""


def memory_room(pid: int | str = "self", root: Path = ROOT) -> Room | None:
    """The tightest memory limit over a process's cgroup (v2), in bytes; None without one. Memory
    that only caches files counts as free: the kernel takes it back before it kills."""

    def used(folder: Path) -> int:
        cache = re.search(r"^inactive_file (\d+)$", read(root, folder / "memory.stat"), re.M)
        return _number(root, folder / "memory.current") - (int(cache[1]) if cache else 0)

    return _tightest(pid, root, "memory.max", used)


def process_room(pid: int | str = "self", root: Path = ROOT) -> Room | None:
    """The tightest limit on the number of processes over a process's cgroup (v2)."""
    return _tightest(pid, root, "pids.max", lambda folder: _number(root, folder / "pids.current"))


def _tightest(pid: int | str, root: Path, name: str, used: Callable[[Path], int]) -> Room | None:
    group = _v2_path(of(pid, root))
    rooms = []
    for tree in _TREES if group is not None else ():
        folder = Path(tree, group or "")
        while folder != Path(tree).parent:
            limit = read(root, folder / name).strip()
            if limit.isdigit():  # else "max", or no such file
                rooms.append(Room(int(limit) - used(folder), int(limit), root / folder / name))
            folder = folder.parent
    return min(rooms, key=lambda room: room.left, default=None)


def _number(root: Path, path: Path) -> int:
    text = read(root, path).strip()
    return int(text) if text.isdigit() else 0
