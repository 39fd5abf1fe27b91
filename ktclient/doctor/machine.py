"""Facts about this machine from the kernel and systemd, read from files and never guessed.

All paths are below a root that tests replace with their own folder.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jobs.system import cgroup
from jobs.system.logind import Logind, name_of_user


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free


@dataclass(frozen=True)
class Machine:
    """Where to read about the machine, and as whom. Nothing here writes."""

    root: Path = cgroup.ROOT
    user: str = field(default_factory=lambda: name_of_user(os.geteuid()))
    free_bytes: Callable[[Path], int] = _free_bytes
    uid: int = field(default_factory=os.geteuid)

    @property
    def mounts(self) -> Path:
        return self.root / "proc/self/mountinfo"

    @property
    def logind(self) -> Logind:
        return Logind(self.root, self.uid, self.user)

    def read(self, path: str) -> str:
        """A file's text; empty where there is none or it may not be read."""
        return cgroup.read(self.root, path)

    def limit(self, name: str) -> int | None:
        """A soft limit of this process, by its name in proc(5); None without a limit."""
        match = re.search(rf"^{name} +(\d+)", self.read("proc/self/limits"), re.M)
        return int(match[1]) if match else None

    def own_threads(self) -> int:
        """How many threads this user has: the limit of processes counts threads."""
        count = 0
        for status in (self.root / "proc").glob("[0-9]*/status"):
            text = self.read(str(status.relative_to(self.root)))
            if re.search(rf"^Uid:\t{self.uid}\t", text, re.M):
                threads = re.search(r"^Threads:\t(\d+)$", text, re.M)
                count += int(threads[1]) if threads else 1
        return count

    def oom_score_adj(self, pid: int | str) -> int:
        """A process's oom_score_adj, up to 1000: the higher, the sooner the kernel kills it for
        memory."""
        text = self.read(f"proc/{pid}/oom_score_adj").strip()
        return int(text) if re.fullmatch(r"-?\d+", text) else 0

    def first_process(self) -> str:
        """The name of process 1; empty if the kernel does not report it."""
        return self.read("proc/1/comm").strip()

    def runs_service(self, name: str) -> bool:
        """Whether a system service runs: systemd keeps a link with its invocation's id."""
        return (self.root / f"run/systemd/units/invocation:{name}").is_symlink()

    def battery(self) -> str | None:
        """The name of this machine's own battery, not of a device such as a mouse; None without
        one."""
        for kind in sorted((self.root / "sys/class/power_supply").glob("*/type")):
            folder = f"sys/class/power_supply/{kind.parent.name}"
            is_battery = self.read(f"{folder}/type").strip() == "Battery"
            if is_battery and self.read(f"{folder}/scope").strip() != "Device":
                return kind.parent.name
        return None
