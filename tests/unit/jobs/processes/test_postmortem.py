"""What a dead child died of, told from real wait statuses."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from jobs.processes.postmortem import Postmortem


@pytest.mark.parametrize(
    ("script", "verdict"),
    [
        ("kill -KILL $$", "was killed by SIGKILL"),
        ("kill -SEGV $$", "was killed by SIGSEGV"),
        ("exit 3", "ended with exit code 3"),
    ],
)
def test_the_signal_is_named(script: str, verdict: str) -> None:
    """And nothing is said about memory where nobody was killed for it."""
    postmortem = Postmortem()
    with subprocess.Popen(["sh", "-c", script]) as process:
        postmortem.born(process.pid)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = 0
    postmortem.died(process.pid, status)
    assert postmortem.verdict(process.pid) == verdict


def test_of_other_peoples_children_nothing_is_known() -> None:
    """Such as workers that the runner adopted."""
    assert Postmortem().verdict(os.getpid()) is None


def test_the_dead_are_forgotten_in_time() -> None:
    """A runner may live for a year."""
    postmortem = Postmortem()
    for pid in range(1, 1200):
        postmortem.died(pid, signal.SIGKILL)
    assert postmortem.verdict(1) is None
    assert postmortem.verdict(1199) == "was killed by SIGKILL"
