"""Calls with a limit of CPU time, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.worker import bounded_call


def nothing() -> None:
    """A beat that lets go on."""


def spin() -> str:
    while True:
        pass


def test_the_result_comes_back_whole() -> None:
    """Empty, and longer than a pipe holds."""
    assert bounded_call.call(lambda: "", nothing) == ""
    assert bounded_call.call(lambda: "é" * 300_000, nothing) == "é" * 300_000


def test_what_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its CPU time, as by the time on the clock."""
    monkeypatch.setattr(bounded_call, "CPU_SECONDS", 1)
    with pytest.raises(bounded_call.TookTooLong, match="1 s of CPU time"):
        bounded_call.call(spin, nothing)
    monkeypatch.setattr(bounded_call, "WALL_SECONDS", 0.2)
    with pytest.raises(bounded_call.TookTooLong, match=r"no result within 0 s$"):
        bounded_call.call(lambda: str(os.read(os.pipe()[0], 1)), nothing)


def test_an_error_in_it_is_no_result(capfd: pytest.CaptureFixture[str]) -> None:
    """Its traceback is in the log."""
    with pytest.raises(bounded_call.TookTooLong, match="exit code 1"):
        bounded_call.call(lambda: str(1 // 0), nothing)


def test_what_the_beat_raises_ends_it(tmp_path: Path, until: Callable[..., object]) -> None:
    """And the process that computes."""
    pids = tmp_path / "pid"

    def compute() -> str:
        pids.write_text(str(os.getpid()))
        return spin()

    def beat() -> None:
        if pids.exists() and pids.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bounded_call.call(compute, beat)
    until(lambda: not alive(int(pids.read_text())))


CALLER = """
import os, signal, sys
from jobs.worker import bounded_call

def compute():
    print(os.getpid(), flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)

bounded_call.call(compute, lambda: None)
"""


def test_a_killed_caller_leaves_none(until: Callable[..., object]) -> None:
    """The process that computes is stopped, so that no limit of its own ends it."""
    with subprocess.Popen([sys.executable, "-c", CALLER], stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None
        pid = int(caller.stdout.readline())
        caller.kill()
    until(lambda: not alive(pid))


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] != "Z"
