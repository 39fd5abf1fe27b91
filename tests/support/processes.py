"""The processes that a test's state directory has, found by that path in their command lines.

Runners, their forked workers and the embedded server all carry it, and nothing else does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from jobs.model import Identity
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from support.patience import HANG_SECONDS


def of(state: StateDir) -> list[Identity]:
    """All that live now, but for ourselves."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            command = (proc / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended
        if any(part.startswith(os.fsencode(state.root)) for part in command):
            one = identity.of(int(proc.name))
            if one is not None and one.pid != os.getpid():
                found.append(one)
    return found


def end_all(state: StateDir) -> None:
    """SIGKILL until none is left: one that waits for another's lock takes its place."""
    give_up = time.monotonic() + HANG_SECONDS
    while living := of(state):
        assert time.monotonic() < give_up, f"{living} do not die"
        for one in living:
            if identity.is_same_process_alive(one):
                os.kill(one.pid, signal.SIGKILL)
        time.sleep(0.02)


def dead() -> Identity:
    """The identity of a process that has ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    found = identity.of(process.pid)
    process.communicate()
    assert found is not None and not identity.is_same_process_alive(found)
    return found
