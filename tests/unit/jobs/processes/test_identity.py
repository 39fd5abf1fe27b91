"""Proof of life: locks that die with their holder, and pids that are not enough."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.processes import identity

pytestmark = pytest.mark.each_python

HOLDER = """
import sys, pathlib
from jobs.processes import identity
lock = identity.hold(pathlib.Path(sys.argv[1]))
lock.sign()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_is_free_the_moment_its_holder_is_killed(tmp_path: Path) -> None:
    """kill -9 leaves nothing to clean up."""
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert identity.is_held(path)
        assert identity.hold(path) is None
        holder = identity.holder(path)
        assert holder is not None and holder.pid == process.pid
        assert identity.is_same_process_alive(holder)
        process.kill()
    assert not identity.is_held(path)
    assert identity.holder(path) is None
    assert not identity.is_same_process_alive(holder)


def test_asking_whether_a_lock_is_held_does_not_take_it(tmp_path: Path) -> None:
    """And a file that was never made is not held."""
    path = tmp_path / "lock"
    assert not identity.is_held(path) and not path.exists()
    lock = identity.hold(path)
    assert lock is not None and identity.is_held(path)
    lock.release()
    assert not identity.is_held(path)


def test_a_stranger_with_the_same_pid_is_not_taken_for_us() -> None:
    """Pids are reused; start times on one boot are not."""
    me = identity.mine()
    assert me.pid == os.getpid()
    assert identity.is_same_process_alive(me)
    assert not identity.is_same_process_alive(replace(me, start_ticks=me.start_ticks + 1))
    assert not identity.is_same_process_alive(replace(me, boot_id="another boot"))


def test_a_zombie_is_dead() -> None:
    """A process that only waits to be reaped does no work."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    child = identity.of(process.pid)
    assert child is not None and identity.is_same_process_alive(child)
    assert process.stdin is not None
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and not reaped
    assert not identity.is_same_process_alive(child)
    process.wait()
