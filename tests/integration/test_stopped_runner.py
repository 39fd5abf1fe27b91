"""A runner that was stopped (SIGSTOP) holds its lock and does nothing: who looks is told so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from support import commands

from jobs.processes import identity
from jobs.store.state_dir import StateDir
from ktclient import submit_long

Until = Callable[..., object]
HOLDER = """
import pathlib, sys
from jobs.processes import identity
identity.hold(pathlib.Path(sys.argv[1])).sign()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(state: StateDir) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has signed the runner's lock, beside a job that waits."""
    command = [sys.executable, "-c", HOLDER, str(state.runner_lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        submit_long("A text that waits.", server="embedded")
        yield process
        process.kill()


def ktjob(*arguments: str) -> str:
    """What it says, on both streams."""
    command = [sys.executable, "-m", "ktclient", *arguments]
    told = commands.ran(command)
    return told.stdout + told.stderr


def test_status_and_doctor_name_a_stopped_runner_and_its_cure(
    holder: subprocess.Popen[bytes], until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And say nothing of the kind before, and once it goes on."""
    monkeypatch.setenv("KTJOB_SERVER", "embedded")
    cure = f"kill -CONT {holder.pid}"
    assert cure not in ktjob("status") and cure not in ktjob("doctor")
    one = identity.of(holder.pid)
    assert one is not None
    os.kill(holder.pid, signal.SIGSTOP)
    until(lambda: identity.is_stopped(one))
    status, doctor = ktjob("status"), ktjob("doctor")
    assert f"the runner (process {holder.pid}) is stopped" in status and cure in status
    assert f"the runner (process {holder.pid}) is stopped, and 1 job is waiting" in doctor
    assert cure in doctor
    os.kill(holder.pid, signal.SIGCONT)
    until(lambda: not identity.is_stopped(one))
    assert cure not in ktjob("status") and cure not in ktjob("doctor")
