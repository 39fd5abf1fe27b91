"""All the processes of one server, and their end.

A server is started in a session of its own, and its schedulers, detokenizer and compilers stay in
it, also when the server is killed and they are handed to another parent. One that leaves for a
session of its own is found below its parent. Nobody is believed by pid alone: what is killed is the
process of a known identity, or shares a session with one, or descends from one.
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

KILL_SECONDS = 15.0
"""A process in an uninterruptible call (a driver, a dead disk) dies when that returns."""


@dataclass(frozen=True)
class _Process:
    identity: Identity
    parent: int
    session: int


def members(known: Iterable[Identity], keeper: int | None = None) -> list[Identity]:
    """All that live of the family of these processes, and of everything below `keeper`: orphans
    become the keeper's children. Neither the keeper nor we are among them."""
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
    """Every process of this machine that is no zombie, by pid."""
    boot, found = processes_identity.boot_id(), {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue  # it ended
        # From field 3 on, as proc(5) counts: state, ppid, pgrp, session; 22 is the start time.
        fields = stat[stat.rindex(")") + 2 :].split()
        if fields[0] not in "ZX":
            one = Identity(boot, int(folder.name), int(fields[19]))
            found[one.pid] = _Process(one, int(fields[1]), int(fields[3]))
    return found


def signal_to(process: Identity, number: int) -> bool:
    """Send a signal to exactly this process. False when it lives no more."""
    if not processes_identity.is_same_process_alive(process):
        return False
    with contextlib.suppress(ProcessLookupError):  # it died in between
        os.kill(process.pid, number)
        return True
    return False


def kill(known: Iterable[Identity], keeper: int | None = None) -> tuple[int, list[Identity]]:
    """SIGKILL until none of the family lives. Returns how many were hit, and who does not die."""
    seen = set(known)
    hit: set[Identity] = set()
    give_up = time.monotonic() + KILL_SECONDS
    while living := members(seen, keeper):
        if time.monotonic() > give_up:
            return len(hit), living
        seen.update(living)
        hit.update(one for one in living if signal_to(one, signal.SIGKILL))
        time.sleep(0.01)  # the end of a process that is not our child gives no event
    return len(hit), []
