"""A child that the kernel ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from jobs.processes import identity

Until = Callable[..., object]
CHILD = """
import sys, time
from jobs.processes import parent_death
parent_death.die_with(int(sys.argv[1]))
print("lives", flush=True)
time.sleep(3600)
"""
PARENT = f"""
import os, subprocess, sys, time
command = [sys.executable, "-c", {CHILD!r}, str(os.getpid())]
child = subprocess.Popen(command, stdout=subprocess.PIPE)
assert child.stdout.readline() == b"lives\\n"
print(child.pid, flush=True)
time.sleep(3600)
"""


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_killed_parent_leaves_no_child(until: Until, is_stopped: bool) -> None:
    """Nor one that is stopped and could do nothing itself."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = identity.of(int(parent.stdout.readline()))
        assert child is not None
        if is_stopped:
            os.kill(child.pid, signal.SIGSTOP)
            until(lambda: identity.is_stopped(child))
        parent.kill()
    until(lambda: not identity.is_same_process_alive(child))


def test_a_parent_that_died_before_it_was_asked_leaves_none_either() -> None:
    """Then another process is the parent, and the kernel would never say anything."""
    done = subprocess.run([sys.executable, "-c", CHILD, "1"], capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
