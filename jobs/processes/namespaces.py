"""Processes of other pid namespaces: a container and its host see other numbers for one process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from jobs.model import Identity
from jobs.processes import identity

INITIAL = 0xEFFFFFFC
"""The inode of the first pid namespace, which sees all others (PROC_PID_INIT_INO in Linux's
include/linux/proc_ns.h)."""


def own() -> int:
    """The pid namespace of this process; 0 without /proc."""
    return _namespace("self")


def may_live(who: Identity, namespace: int) -> bool:
    """Whether a process that had this identity in that pid namespace may still live: it is seen, or
    its namespace cannot be seen from here. Costs a look at all processes."""
    if who.boot_id != identity.boot_id():
        return False
    if namespace == own():
        return identity.is_same_process_alive(who)
    pids = list(_pids_in(namespace))
    if not pids:
        return own() != INITIAL
    return any(_pid_inside(pid) == who.pid and _began(pid) == who.start_ticks for pid in pids)


def _pids_in(namespace: int) -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit() and _namespace(name) == namespace:
            yield int(name)


def _namespace(pid: str) -> int:
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:  # it has ended, or belongs to another user
        return 0


def _pid_inside(pid: int) -> int:
    """The number that a process has in its own namespace: the last of NSpid (proc(5))."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return 0


def _began(pid: int) -> int:
    found = identity.of(pid)
    return -1 if found is None else found.start_ticks
