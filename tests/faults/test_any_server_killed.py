"""A job for any server, whose server, runner and workers are killed around its move."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang

from jobs.model import Attempt
from jobs.processes import identity
from jobs.store.control import Control
from jobs.store.state_dir import StateDir
from ktclient import Job, submit_long

STORY = "It was a dark and stormy night. "
SEEKS = "waiting for the server"
Until = Callable[..., object]


@pytest.mark.promise
def test_a_job_that_is_killed_around_its_move_is_sent_to_one_server_only(
    state: StateDir,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kill_runner: Callable[[], int],
    until: Until,
) -> None:
    """Killed while it looks for a server, it looks again. Killed after it was sent to the other
    one, it is aborted there and sent there again."""
    monkeypatch.setenv("KTJOB_CONFIG", str(tmp_path))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with fake_sglang(tmp_path / "two", "--max-running", "1") as two:
        with fake_sglang(tmp_path / "one", "--max-running", "1") as one:
            tables = f'[servers.one]\nurl = "{one.url}"\n[servers.two]\nurl = "{two.url}"\n'
            (tmp_path / "config.toml").write_text(tables)
            two.hold()
            long = submit_long(text=STORY * 2000, server="two")
            two.wait_for_event("request")
            _pause(state)
            job = _given_to(one)
        _pause(state, is_over=True)
        for number in (1, 2):  # the first time together with the runner
            until(lambda number=number: _phase(state, job) == (number, SEEKS))
            if number == 1:
                kill_runner()
            worker = _attempt(state, job).worker
            os.kill(worker.pid, signal.SIGKILL)
            until(lambda worker=worker: not identity.is_same_process_alive(worker))
            job.status()  # starts a runner, as any command that finds a job without a worker
        until(lambda: _phase(state, job) == (3, SEEKS))
        long.cancel()
        two.wait_for_event("request", n=2)
        os.kill(_attempt(state, job).worker.pid, signal.SIGKILL)
        two.let_go()
        assert job.result()
        done, sent = job.status(), two.requests()
    assert (done.server, done.attempt) == (two.url, 4)
    assert [body["rid"] for body in sent[1:]] == [one.rid for one in _attempts(state, job)[2:]]


def _pause(state: StateDir, *, is_over: bool = False) -> None:
    with Control.open(state) as store:
        store.resume(None) if is_over else store.pause(None)


def _given_to(server: FakeServer) -> Job:
    """A job that may have any server, and gets this one as soon as it answers in time."""
    while True:
        job = submit_long(text=STORY, server="any", max_tokens=50, max_attempts=4)
        if job.status().server == server.url:
            return job
        job.cancel()


def _attempts(state: StateDir, job: Job) -> list[Attempt]:
    with Control.open(state) as store:
        return store.attempts(job.id)


def _attempt(state: StateDir, job: Job) -> Attempt:
    return _attempts(state, job)[-1]


def _phase(state: StateDir, job: Job) -> tuple[int, str] | None:
    found = _attempts(state, job)
    return (found[-1].number, found[-1].phase) if found else None
