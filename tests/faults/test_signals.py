"""Every signal to the runner and its workers: real processes, and work that needs no server."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from support import standing_still

from jobs.model import Capacity, Identity, Job, NewJob, Status
from jobs.processes import identity
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import recovery

WORK = "toy_work:perform"
STOPPING = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT]
HARMLESS = [
    *(signal.SIGHUP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
    *(signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2),
]
Until = Callable[..., object]


@pytest.fixture(autouse=True)
def importable_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"))


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """What the work waits for."""
    return tmp_path / "gate"


def submit(state: StateDir, gate: Path, attempts: int = 2) -> Job:
    spec = json.dumps({"say": "half, ", "until": str(gate), "then": "whole"})
    with Store.open(state) as store:
        job = store.submit(
            NewJob("pool", spec, b"text", "title", max_attempts=attempts), Capacity(slots=1)
        )
    start.ensure_runner(state, WORK)
    return job


def look(state: StateDir, job: Job) -> Job:
    with Store.open(state) as store:
        return store.job(job.id)


def text_of(state: StateDir, job: Job, number: int) -> str:
    with Store.open(state) as store:
        return "".join(piece.text for piece in store.pieces(job.id, number))


def worker_of(state: StateDir, job: Job) -> Identity:
    with Store.open(state) as store:
        attempt = store.attempt(store.job(job.id))
    assert attempt is not None
    return attempt.worker


def runner_of(state: StateDir) -> Identity:
    runner = identity.holder(state.runner_lock)
    assert runner is not None
    return runner


def is_stopped(process: Identity) -> bool:
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return stat.rpartition(") ")[2].startswith("T")


def succeeded(state: StateDir, job: Job) -> Callable[[], bool]:
    return lambda: look(state, job).state == "SUCCEEDED"


@pytest.mark.promise
@pytest.mark.parametrize("number", STOPPING)
def test_a_worker_told_to_stop_keeps_its_text_and_gives_the_job_back(
    state: StateDir, until: Until, gate: Path, number: signal.Signals
) -> None:
    """An end that says by whom, and a next attempt; no rest, no doubt whether it is dead."""
    job = submit(state, gate)
    until(lambda: text_of(state, job, 1))
    first = worker_of(state, job)
    os.kill(first.pid, number)
    until(lambda: text_of(state, job, 2))
    assert text_of(state, job, 1) == "half, "
    with Store.open(state) as store:
        (again,) = (one for one in store.events(job.id) if one.kind == "queued again")
    assert again.data["cause"] == "worker_stopped"
    assert f"(process {first.pid}) was stopped by {number.name}" in str(again.data["message"])
    gate.touch()
    until(succeeded(state, job))
    assert look(state, job).attempt == 2


def test_after_the_last_attempt_the_job_is_lost_and_says_why(
    state: StateDir, until: Until, gate: Path
) -> None:
    """With the phase it was in, and its text."""
    job = submit(state, gate, attempts=1)
    until(lambda: text_of(state, job, 1))
    os.kill(worker_of(state, job).pid, signal.SIGTERM)
    until(lambda: look(state, job).status is Status.FINISHED)
    lost = look(state, job)
    assert (lost.state, lost.cause) == ("LOST", "worker_stopped")
    assert lost.message is not None and "SIGTERM" in lost.message
    assert "in phase 'working', attempt 1 of 1" in lost.message
    assert text_of(state, job, 1) == "half, "


def test_a_shutdown_costs_one_attempt_and_starts_nothing(
    state: StateDir, until: Until, gate: Path
) -> None:
    """SIGTERM to all at once, as systemd does: nobody starts a runner that would be told to stop
    again; the next command does."""
    job = submit(state, gate)
    until(lambda: text_of(state, job, 1))
    runner, worker = runner_of(state), worker_of(state, job)
    for process in (runner, worker):  # the runner is gone when the worker looks for one
        os.kill(process.pid, signal.SIGTERM)
        until(lambda process=process: not identity.is_same_process_alive(process))
    assert not start.is_runner_alive(state)
    assert (look(state, job).state, look(state, job).attempt) == ("QUEUED", 1)
    gate.touch()
    start.ensure_runner(state, WORK)
    until(succeeded(state, job))
    assert look(state, job).attempt == 2


@pytest.mark.parametrize("number", STOPPING)
def test_a_runner_told_to_stop_leaves_its_workers_at_work(
    state: StateDir, until: Until, gate: Path, number: signal.Signals
) -> None:
    """One attempt, whole; and the worker starts a runner for what waits."""
    job, behind = submit(state, gate), submit(state, gate)
    until(lambda: text_of(state, job, 1))
    runner = runner_of(state)
    os.kill(runner.pid, number)
    until(lambda: not identity.is_same_process_alive(runner))
    assert identity.is_same_process_alive(worker_of(state, job))
    gate.touch()
    until(succeeded(state, behind))
    assert (look(state, job).state, look(state, job).attempt) == ("SUCCEEDED", 1)


def test_what_terminals_and_strangers_send_does_nothing(
    state: StateDir, until: Until, gate: Path
) -> None:
    """Not to the runner, not to a worker; SIGUSR1 makes them say where they are."""
    job = submit(state, gate)
    until(lambda: text_of(state, job, 1))
    runner, worker = runner_of(state), worker_of(state, job)
    for process, log in ((runner, state.runner_log), (worker, state.job_log(job.id))):
        for number in HARMLESS:
            os.kill(process.pid, number)
        until(lambda log=log: "most recent call first" in log.read_text())
        assert identity.is_same_process_alive(process) and not is_stopped(process)
    gate.touch()
    until(succeeded(state, job))
    assert look(state, job).attempt == 1 and runner_of(state) == runner


def test_signals_that_a_caller_had_blocked_reach_the_runner_all_the_same(
    state: StateDir, until: Until, gate: Path
) -> None:
    """A mask survives exec: without care, nobody could ask such a runner to leave."""
    old = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        job = submit(state, gate)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
    until(lambda: text_of(state, job, 1))
    runner, worker = runner_of(state), worker_of(state, job)
    for process in (runner, worker):
        os.kill(process.pid, signal.SIGTERM)
        until(lambda process=process: not identity.is_same_process_alive(process))


def test_a_stopped_runner_holds_up_the_queue_but_not_the_running(
    state: StateDir, until: Until, gate: Path
) -> None:
    """A submit beside it returns at once; what it stores runs when the runner goes on."""
    job = submit(state, gate)
    until(lambda: text_of(state, job, 1))
    runner = runner_of(state)
    standing_still.stop(state, runner)
    behind = submit(state, gate)
    gate.touch()
    until(succeeded(state, job))
    assert look(state, behind).state == "QUEUED"
    assert start.stopped_runner(state) == runner
    os.kill(runner.pid, signal.SIGCONT)
    until(succeeded(state, behind))
    assert start.stopped_runner(state) is None


def test_a_stopped_runner_that_is_killed_is_replaced(
    state: StateDir, until: Until, gate: Path
) -> None:
    """The cure that `ktjob doctor` names, where it cannot go on."""
    gate.touch()
    job = submit(state, gate)
    until(succeeded(state, job))
    runner = runner_of(state)
    standing_still.stop(state, runner)
    behind = submit(state, gate)
    os.kill(runner.pid, signal.SIGKILL)
    until(lambda: not start.is_runner_alive(state))
    start.ensure_runner(state, WORK)
    until(succeeded(state, behind))


@pytest.mark.promise
def test_a_stopped_worker_is_nobodys_prey(state: StateDir, until: Until, gate: Path) -> None:
    """It lives, so its job is its own: nothing is asked twice while it stands still."""
    job = submit(state, gate)
    until(lambda: text_of(state, job, 1))
    worker = worker_of(state, job)
    standing_still.stop(state, worker)
    with Store.open(state) as store:
        (running,) = recovery.recover(store, state)
    assert running.id == job.id
    gate.touch()
    os.kill(worker.pid, signal.SIGCONT)
    until(succeeded(state, job))
    assert look(state, job).attempt == 1
