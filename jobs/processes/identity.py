"""Proof that a process lives: a held flock, and (boot id, pid, start time) to identify it.

A pid alone proves nothing, because pids are reused. Nor does silence: a healthy job may be silent
for an hour. The kernel drops a flock when its holder dies, whatever the cause.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from jobs import private_folder
from jobs.model import Identity
from jobs.processes import ownership


def mine() -> Identity:
    """This process."""
    pid = os.getpid()
    return of(pid) or Identity(boot_id(), pid, 0)  # without /proc only the locks count


def of(pid: int) -> Identity | None:
    """The process that has this pid now; None when no process has it."""
    ticks = _start_ticks(pid)
    return None if ticks is None else Identity(boot_id(), pid, ticks)


def boot_id() -> str:
    """An id that changes with every boot. Empty without /proc."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def is_same_process_alive(identity: Identity) -> bool:
    """True while exactly that process runs: not another process with its pid, not a zombie of which
    nothing is left."""
    if identity.boot_id != boot_id():
        return False
    return _start_ticks(identity.pid) == identity.start_ticks


def is_ending(identity: Identity) -> bool:
    """True while of exactly that process only other threads than the first live, or still end."""
    return is_same_process_alive(identity) and _stat(identity.pid)[:1] == ["Z"]


def is_stopped(identity: Identity) -> bool:
    """True while exactly that process lives and is stopped, by SIGSTOP or a debugger."""
    return is_same_process_alive(identity) and _stat(identity.pid)[:1] in (["T"], ["t"])


def _start_ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None when there is no such process or only its zombie."""
    fields = _stat(pid)
    return None if not fields or has_ended(fields) else int(fields[19])


def has_ended(fields: list[str]) -> bool:
    """Of /proc/PID/stat from field 3, the state, on: whether nothing of the process runs any more.

    The state is of the first thread alone. As long as other threads live, or still end, the process
    has its memory, files and locks; field 20 counts its threads, the first included. A killed
    sglang 0.5.17 with 24 GiB of pinned memory was such a zombie for 2 to 2.6 s, and until its end
    it had 17 GiB of an H200.
    """
    return fields[0] == "X" or (fields[0] == "Z" and int(fields[17]) <= 1)


def _stat(pid: int) -> list[str]:
    """/proc/PID/stat from field 3, the state, on; empty when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    # The command name (field 2) may hold spaces and brackets: count from its last bracket.
    return stat[stat.rindex(")") + 2 :].split()


def seconds_since_start(identity: Identity) -> float | None:
    """How long ago that process began, by the time since boot, which cannot be set. None when it
    began before this boot."""
    if not identity.boot_id or identity.boot_id != boot_id():
        return None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - identity.start_ticks / os.sysconf("SC_CLK_TCK")


class HeldLock:
    """An exclusive flock on a file, held until `release` or the death of the process."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def sign(self, **notes: object) -> None:
        """Write this process's identity into the locked file, with `notes` for other processes."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps({**asdict(mine()), **notes}).encode(), 0)

    def is_at(self, path: Path) -> bool:
        """Whether the file at `path` is still the locked one: if the file was removed, another
        process may hold a lock of that name."""
        try:
            return os.path.samestat(os.fstat(self._fd), path.stat())
        except OSError:
            return False

    def release(self) -> None:
        """Release the lock. A forked child shares the open file and must call this too."""
        with contextlib.suppress(OSError):  # of a disk that is gone, which holds no lock any more
            os.close(self._fd)


def hold(path: Path, wait_seconds: float = 0.0) -> HeldLock | None:
    """Take the lock, or return None when another process still holds it after `wait_seconds`.

    The file is never removed: that would let two processes lock two files of one name. Raises
    `NotYours` when it belongs to another user.
    """
    fd = _opened(path, os.O_CREAT)
    give_up = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return HeldLock(fd)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                os.close(fd)
                return None
            time.sleep(0.02)  # flock has no timed wait


def holder(path: Path) -> Identity | None:
    """The process that signed a lock that is held now; None when it is free or not signed."""
    signed = signature(path)
    try:
        return Identity(**{field.name: signed[field.name] for field in fields(Identity)})
    except KeyError:
        return None


def signature(path: Path) -> dict[str, Any]:
    """All that the holder of a lock wrote into it; empty when it is free or not signed."""
    if not is_held(path):
        return {}
    try:
        signed = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return signed if isinstance(signed, dict) else {}


def is_held(path: Path) -> bool:
    """Whether some process holds the lock now. Raises `NotYours` when the file belongs to another
    user."""
    try:
        fd = ownership.open_own(path, os.O_RDONLY)  # also on a disk that is read-only now
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _opened(path: Path, flags: int = 0) -> int:
    if flags & os.O_CREAT:
        with contextlib.suppress(OSError):  # a cleaner of empty folders may have removed it
            private_folder.make_one(path.parent)
    fd = ownership.open_own(path, os.O_RDWR | flags)
    if os.geteuid() == 0:
        ownership.give_to_owner_of(path.parent, fd)
    return fd
