"""All processes of one server, and how to kill them.

A server starts in a session of its own. Its schedulers, detokenizer and compilers stay in that
session, also when the server is killed and they get another parent. A process that starts another
session is found as a child of its parent. A pid alone is never enough: only a process with a known
identity is killed, or one that shares a session with it or descends from it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jobs.model import Identity
from jobs.processes import identity as processes_identity

KILL_SECONDS = 60.0
"""How long to retry SIGKILL: a process in an uninterruptible system call (of a driver or a dead
disk) dies only when that call returns, and one with much memory takes as long as the kernel needs
to take that back: 2.6 s for 24 GiB of pinned memory, seen with sglang 0.5.17 on an H200, so 40 s
for 400 GB of experts."""


@dataclass(frozen=True)
class _Process:
    identity: Identity
    parent: int
    session: int


def members(known: Iterable[Identity], keeper: int | None = None) -> list[Identity]:
    """All live processes of the family of `known`, and all descendants of the supervisor `keeper`:
    orphans become its children. Without the supervisor and the calling process."""
    living = _living()
    found = {one.pid for one in known if one.pid in living and living[one.pid].identity == one}
    if keeper is not None:
        found |= {pid for pid, process in living.items() if process.parent == keeper}
    strangers = {keeper, os.getpid()}
    found -= strangers
    outside = {living[pid].session for pid in strangers if pid in living}
    while True:
        sessions = {living[pid].session for pid in found} - outside
        more = {
            pid
            for pid, process in living.items()
            if process.session in sessions or process.parent in found
        }
        if more - strangers <= found:
            return [living[pid].identity for pid in sorted(found)]
        found |= more - strangers


def _living() -> dict[int, _Process]:
    """Every process of this machine of which something runs, by pid."""
    boot, found = processes_identity.boot_id(), {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue  # it ended
        # From field 3 on, as proc(5) counts: state, ppid, pgrp, session; 22 is the start time.
        fields = stat[stat.rindex(")") + 2 :].split()
        if not processes_identity.has_ended(fields):
            one = Identity(boot, int(folder.name), int(fields[19]))
            found[one.pid] = _Process(one, int(fields[1]), int(fields[3]))
    return found


def signal_to(process: Identity, number: int) -> bool:
    """Send a signal to exactly this process. False when it no longer lives."""
    if not processes_identity.is_same_process_alive(process):
        return False
    with contextlib.suppress(ProcessLookupError):  # it died in between
        os.kill(process.pid, number)
        return True
    return False


def kill(known: Iterable[Identity], keeper: int | None = None) -> tuple[int, list[Identity]]:
    """Send SIGKILL until none of the family lives. Returns how many processes were killed, without
    those that were ending already, and those that did not die within `KILL_SECONDS`."""
    seen = set(known)
    hit: set[Identity] = set()
    give_up = time.monotonic() + KILL_SECONDS
    while living := members(seen, keeper):
        if time.monotonic() > give_up:
            return len(hit), living
        seen.update(living)
        running = {one for one in living if not processes_identity.is_ending(one)}
        hit.update(one for one in living if signal_to(one, signal.SIGKILL) and one in running)
        time.sleep(0.01)  # no event reports the end of a process that is not a child
    return len(hit), []
