"""Short jobs that share a worker: each is as durable as with a worker of its own."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from support import queueing
from support.queueing import attempt_of, ended, look, running, text_of

from jobs.model import Capacity, Job, NewJob, Status
from jobs.processes import identity
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

Until = Callable[..., object]


@pytest.fixture(autouse=True)
def toy_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(queueing.SUPPORT))


def put(state: StateDir, number: int, attempts: int = 1, **spec: object) -> Job:
    new = NewJob(
        "pool", json.dumps({"shared": True, **spec}), b"%d" % number, "t", max_attempts=attempts
    )
    with Store.open(state) as store:
        return store.submit(new, Capacity(slots=8))


def run(state: StateDir, jobs: list[Job], until: Until) -> set[int]:
    """Their workers' pids, once all of them run."""
    start.ensure_runner(state, queueing.WORK)
    for job in jobs:
        until(running(state, job))
    return {attempt_of(state, job).worker.pid for job in jobs}


@pytest.mark.promise
def test_a_killed_worker_costs_its_jobs_one_attempt_each(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """All of them are found, repeated, and whole; a long one beside them has its own worker."""
    gate = tmp_path / "gate"
    short = [put(state, n, 2, until=str(gate), say=f"{n}", then="!") for n in range(3)]
    long = put(state, 9, 1, until=str(gate), then="long", shared=False)
    pids = run(state, short, until)
    until(running(state, long))
    assert len(pids) == 1
    own = attempt_of(state, long).worker.pid
    assert own not in pids
    os.kill(pids.pop(), signal.SIGKILL)
    for job in short:
        until(lambda job=job: look(state, job).attempt == 2 and running(state, job)())
    gate.touch()
    for number, job in enumerate(short):
        until(ended(state, job))
        assert (look(state, job).state, text_of(state, job)) == ("SUCCEEDED", f"{number}!")
        with Store.open(state) as store:
            again = [one for one in store.events(job.id) if one.kind == "queued again"]
        assert len(again) == 1 and "SIGKILL" in str(again[0].data["message"])
    until(ended(state, long))
    assert look(state, long).attempt == 1


def test_it_outlives_its_runner_and_ends_after_its_jobs(
    state: StateDir, until: Until, tmp_path: Path, kill_runner: Callable[[], int]
) -> None:
    """The next runner does not start them again, and has a shared worker of its own."""
    gate = tmp_path / "gate"
    jobs = [put(state, n, until=str(gate), then="whole") for n in range(2)]
    pids = run(state, jobs, until)
    worker = attempt_of(state, jobs[0]).worker
    kill_runner()
    another = put(state, 5, until=str(gate), then="whole")
    assert not run(state, [another], until) & pids
    gate.touch()
    for job in [*jobs, another]:
        until(ended(state, job))
        assert (look(state, job).attempt, text_of(state, job)) == (1, "whole")
    until(lambda: not identity.is_same_process_alive(worker))


def test_a_cancel_ends_one_and_no_other(state: StateDir, until: Until, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    jobs = [put(state, n, until=str(gate), say="some", then=" more") for n in range(3)]
    assert len(run(state, jobs, until)) == 1
    with Store.open(state) as store:
        store.request_cancel(jobs[1].id)
    until(ended(state, jobs[1]))
    assert look(state, jobs[1]).state == "CANCELLED"
    assert {look(state, one).status for one in (jobs[0], jobs[2])} == {Status.RUNNING}
    gate.touch()
    for job in (jobs[0], jobs[2]):
        until(ended(state, job))
        assert text_of(state, job) == "some more"


def test_a_stop_signal_keeps_the_text_of_all(state: StateDir, until: Until, tmp_path: Path) -> None:
    """As that of one worker; each waits for its next attempt, which another process begins."""
    gate = tmp_path / "gate"
    jobs = [put(state, n, 2, until=str(gate), say="kept", then="!") for n in range(2)]
    pids = run(state, jobs, until)
    for job in jobs:
        until(lambda job=job: text_of(state, job) == "kept")
    os.kill(next(iter(pids)), signal.SIGTERM)
    for job in jobs:
        until(lambda job=job: look(state, job).attempt == 2 and running(state, job)())
        with Store.open(state) as store:
            assert "".join(piece.text for piece in store.pieces(job.id, 1)) == "kept"
    gate.touch()
    for job in jobs:
        until(ended(state, job))
    assert not pids & {attempt_of(state, job).worker.pid for job in jobs}


def test_a_failure_of_one_is_told_in_its_own_log(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """What its thread prints, too; the others do not notice."""
    gate = tmp_path / "gate"
    other = put(state, 0, until=str(gate), print="for the other\n", then="whole")
    broken = put(state, 1, bug="it broke", print="for the broken one\n")
    start.ensure_runner(state, queueing.WORK)
    for_other = state.job_log(other.id)  # the other may begin to print after this one has ended
    until(ended(state, broken))
    until(lambda: for_other.exists() and "for the other" in for_other.read_text())
    assert look(state, broken).cause == "bug"
    log = state.job_log(broken.id).read_text()
    assert "for the broken one" in log and "ZeroDivisionError: it broke" in log
    assert "for the other" not in log
    gate.touch()
    until(ended(state, other))
    assert text_of(state, other) == "whole"
