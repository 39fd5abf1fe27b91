"""kill -9 of the runner: in the middle of a real request to the real embedded model, and again and
again while others want to take its place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.model import Capacity, NewJob, Status
from jobs.processes import identity
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import submit_long


@pytest.mark.long
def test_the_request_goes_on_and_the_next_runner_adopts_it(
    state: StateDir,
    report: Path,
    cache_env: dict[str, str],
    kill_runner: Callable[[], int],
    until: Callable[..., object],
) -> None:
    """Asked once, finished whole, and nothing starts beside it in its pool meanwhile."""
    text = report.read_text()
    job = submit_long(text[:6000], max_tokens=48, server="embedded")
    until(lambda: (now := job.status()).phase == "prefill" and (now.done or 0) > 0)
    dead = kill_runner()
    until(lambda: not start.is_runner_alive(state))
    assert job.status().state == "RUNNING"

    behind = submit_long("One line about ferries.\n", max_tokens=8, server="embedded")
    log = state.runner_log.read_text()
    assert log.count(" serves ") == 2 and f"runner {dead} serves" in log
    assert behind.status().state == "QUEUED"

    assert job.result().strip()
    assert behind.wait().status().state == "SUCCEEDED"
    first, second = job.status(), behind.status()
    assert first.attempt == 1
    assert first.finished_at is not None and second.started_at is not None
    assert first.finished_at <= second.started_at
    with Store.open(state) as store:
        kinds = [event.kind for event in store.events(job.id)]
    assert kinds.count("claimed") == 1 and kinds.count("finished") == 1


@pytest.mark.promise
def test_two_runners_never_live_though_the_first_is_killed_again_and_again(
    state: StateDir, until: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four would-be runners a round, and kill -9 for whoever won: one at a time signs the lock, and
    the request that the first of them started goes on through all of it, once."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"))
    gate = tmp_path / "gate"
    spec = json.dumps({"until": str(gate), "acks": str(tmp_path / "acks"), "then": "whole"})
    with Store.open(state) as store:
        job = store.submit(NewJob("pool", spec, b"text", "title"), Capacity(slots=1))
    command = [sys.executable, "-m", "jobs.runner", str(state.root), "toy_work:perform"]
    winners: set[int] = set()
    log = (tmp_path / "rivals.log").open("w")
    for _ in range(3):
        rivals = [subprocess.Popen(command, stderr=log) for _ in range(4)]
        for _ in range(2):  # the second wins because the first died
            until(lambda rivals=rivals: _new_winner(state, winners) or _all_left(rivals))
            if _all_left(rivals):
                break  # this machine was so slow that they gave up before the kill
            runner = identity.holder(state.runner_lock)
            assert runner is not None and runner.pid in {rival.pid for rival in rivals}
            until(lambda: (tmp_path / "acks").exists())  # its worker, or an adopted one, is at work
            os.kill(runner.pid, signal.SIGKILL)
            winners.add(runner.pid)
            until(lambda runner=runner: not identity.is_same_process_alive(runner))
        for rival in rivals:
            rival.kill()
            rival.wait()
    log.close()
    assert len(winners) >= 4
    assert (tmp_path / "acks").read_text() == f"{job.id} 1 begin\n"
    gate.touch()
    until(lambda: _ended(state, job.id))
    with Store.open(state) as store:
        assert (store.job(job.id).state, store.job(job.id).attempt) == ("SUCCEEDED", 1)


def _new_winner(state: StateDir, winners: set[int]) -> bool:
    runner = identity.holder(state.runner_lock)
    return runner is not None and runner.pid not in winners


def _all_left(rivals: list[subprocess.Popen[bytes]]) -> bool:
    return all(rival.poll() is not None for rival in rivals)


def _ended(state: StateDir, job_id: str) -> bool:
    with Store.open(state) as store:
        return store.job(job_id).status is Status.FINISHED
