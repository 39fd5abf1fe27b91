"""What is said of a worker that died: by whose hand, as far as can be known."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import processes
from support.memory_cgroup import memory_cgroup

from jobs.model import Capacity, Job, NewJob, Status
from jobs.runner import start as runner_start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

WORK = "toy_work:perform"
Until = Callable[..., object]


@pytest.fixture(autouse=True)
def importable_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"))


def store(state: StateDir, **spec: object) -> Job:
    with Store.open(state) as opened:
        new = NewJob("pool", json.dumps(spec), b"text", "title", max_attempts=1)
        return opened.submit(new, Capacity(slots=1))


def look(state: StateDir, job: Job) -> Job:
    with Store.open(state) as opened:
        return opened.job(job.id)


@pytest.mark.promise
def test_the_signal_that_killed_a_worker_is_named(
    state: StateDir, tmp_path: Path, until: Until
) -> None:
    """By the runner, who is its parent."""
    job = store(state, until=str(tmp_path / "never"))
    runner_start.ensure_runner(state, WORK)
    until(lambda: look(state, job).status is Status.RUNNING)
    with Store.open(state) as opened:
        attempt = opened.attempt(opened.job(job.id))
    assert attempt is not None
    os.kill(attempt.worker.pid, signal.SIGKILL)
    until(lambda: look(state, job).status is Status.FINISHED)
    message = look(state, job).message or ""
    assert f"its worker (process {attempt.worker.pid}) was killed by SIGKILL in phase" in message
    assert "memory" not in message


@pytest.fixture
def tight(state: StateDir) -> Iterator[Path]:
    """A cgroup with room for a runner, and for a worker that wants no more than that."""
    with memory_cgroup(200_000_000) as folder:
        yield folder
        processes.end_all(state)


@pytest.mark.memcg
def test_the_kernels_killer_is_suspected_where_it_struck(
    state: StateDir, tight: Path, until: Until
) -> None:
    """A real kill for memory, of the worker; the runner that shares its cgroup lives to tell."""
    job = store(state, hog=True)
    start = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
    start += "from pathlib import Path; from jobs.store.state_dir import StateDir\n"
    start += "from jobs.runner import start as starting\n"
    start += f"starting.ensure_runner(StateDir(Path({str(state.root)!r})), {WORK!r})\n"
    script = f'echo $$ > \'{tight}/cgroup.procs\'; exec "$0" -c "$1"'
    subprocess.run(["sh", "-c", script, sys.executable, start], check=True)
    until(lambda: look(state, job).status is Status.FINISHED)
    message = look(state, job).message or ""
    assert "was killed by SIGKILL, probably by the kernel's out-of-memory killer" in message
    assert runner_start.is_runner_alive(state)
