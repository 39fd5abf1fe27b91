"""kill -9 at every step of the journey of one document (docs/how-it-works.md), by name.

Each process kills itself at the step (tests/support/killing), once; then somebody looks, as the
next `ktjob` command does. Steps before the request with work that needs no server, steps of the
request with the scripted one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang

from jobs.model import Status
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors

SUPPORT = Path(__file__).parents[1] / "support"
Until = Callable[..., object]
Arm = Callable[[str, str], Path]
SUBMIT = """
import pathlib, sys
from jobs.runner import start as starting
from jobs.store.state_dir import StateDir
from jobs.model import Capacity, NewJob
from jobs.store.store import Store
state = StateDir(pathlib.Path(sys.argv[1]))
with Store.open(state) as store:
    new = NewJob("pool", sys.argv[2], b"text", "title", max_attempts=2)
    job = store.submit(new, Capacity(slots=1))
starting.ensure_runner(state, "toy_work:perform")
print(job.id, flush=True)
"""
HASTE = "jobs.runner.loop.REST_SECONDS=0.1,jobs.runner.loop.TICK_SECONDS=0.1"
BEFORE_COMMIT = [*map(str, range(1, 6)), "before submit"]
AFTER_COMMIT = ["after submit", "before ensure_runner", "after ensure_runner"]
OF_RUNNER = [
    *("before lock", "after lock", "before sign", "before ready", "after ready"),
    *("before recover", "after recover", "before fork", "after fork"),
]
OF_WORKER_UNCLAIMED = ["before lock", "after lock", "before claim", "1", "3"]
OF_WORKER_CLAIMED = ["after claim", "before phase working", "after phase working"]
OF_WORKER_WITH_TEXT = ["after text", "before finish"]
OF_REQUEST = {
    "after phase connecting": "connecting",
    "before phase waiting": "sending",
    "after phase waiting": "waiting",
    "before text": "decode",
    "after text": "decode",
}
"""Step -> the phase that the job is said to have died in."""


@pytest.fixture
def arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arm:
    """Have the first process of a role die at a point. Returns the file that tells that it did."""

    def arm(role: str, point: str) -> Path:
        marker = tmp_path / "fired"
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT / "killing"), str(SUPPORT)]))
        monkeypatch.setenv("KTJOB_KILL", f"{role}|{point}|{marker}")
        monkeypatch.setenv("KTJOB_CONSTANTS", HASTE)
        return marker

    return arm


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeServer]:
    answer = ("--answer", "one two three four five six", "--token-seconds", "0.1")
    answer += ("--flavour", "upstream")
    with fake_sglang(tmp_path_factory.mktemp("server"), *answer) as server:
        yield server


def submit(state: StateDir) -> subprocess.CompletedProcess[str]:
    spec = json.dumps({"say": "half, ", "then": "whole"})
    command = [sys.executable, "-c", SUBMIT, str(state.root), spec]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def everything_ended(state: StateDir, serve: Callable[[StateDir], object]) -> Callable[[], bool]:
    def ended() -> bool:
        serve(state)
        with Store.open(state) as store:
            return not store.has(Status.QUEUED) and not store.has(Status.RUNNING)

    return ended


def the_attempts(state: StateDir) -> list[str]:
    """The text of each attempt of the only job, which has succeeded."""
    with Store.open(state) as store:
        (job,) = store.newest(10)
        assert job.state == "SUCCEEDED", job
        kinds = [event.kind for event in store.events(job.id)]
        assert kinds.count("finished") == 1 and kinds.count("claimed") == job.attempt
        numbers = range(1, job.attempt + 1)
        return ["".join(p.text for p in store.pieces(job.id, number)) for number in numbers]


def serve(state: StateDir) -> None:
    """What every command does first, with the toy work."""
    from jobs.runner import start
    from jobs.worker import recovery

    with Store.open(state) as store:
        recovery.recover(store, state)
        is_waiting = store.has(Status.QUEUED)
    if is_waiting and not start.is_runner_alive(state):
        start.ensure_runner(state, "toy_work:perform")


@pytest.mark.parametrize("point", BEFORE_COMMIT)
def test_submit_killed_before_its_commit_has_stored_nothing(
    state: StateDir, arm: Arm, point: str
) -> None:
    """And printed nothing: whoever has no id has no job."""
    fired = arm("submit", point)
    done = submit(state)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "") and fired.exists()
    with Store.open(state) as store:
        assert store.newest(10) == []


@pytest.mark.promise
@pytest.mark.parametrize("point", AFTER_COMMIT)
def test_submit_killed_after_its_commit_has_submitted(
    state: StateDir, until: Until, arm: Arm, point: str
) -> None:
    """Served by the next command at the latest, in one attempt."""
    fired = arm("submit", point)
    assert submit(state).returncode == -signal.SIGKILL and fired.exists()
    until(everything_ended(state, serve))
    assert the_attempts(state) == ["half, whole"]


@pytest.mark.promise
@pytest.mark.parametrize("point", OF_RUNNER)
def test_a_runner_killed_anywhere_leaves_the_job_to_the_next(
    state: StateDir, until: Until, arm: Arm, point: str
) -> None:
    """From its first lock to right after a fork: one attempt, and a command at most."""
    fired = arm("runner", point)
    submit(state)  # told or not that the runner died; the job is stored
    until(everything_ended(state, serve))
    assert fired.exists() and the_attempts(state) == ["half, whole"]


@pytest.mark.parametrize("point", ["before release", "after release", "before checkpoint"])
def test_a_runner_killed_while_it_leaves_takes_nothing_along(
    state: StateDir, until: Until, arm: Arm, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was submitted meanwhile is found."""
    fired = arm("runner", point)
    monkeypatch.setenv("KTJOB_CONSTANTS", f"{HASTE},jobs.runner.loop.IDLE_SECONDS=0")
    submit(state)
    until(fired.exists)
    monkeypatch.delenv("KTJOB_KILL")
    submit(state)
    until(everything_ended(state, serve))
    with Store.open(state) as store:
        assert [(job.state, job.attempt) for job in store.newest(10)] == [("SUCCEEDED", 1)] * 2


@pytest.mark.promise
def test_a_job_submitted_while_a_runner_leaves_is_seen_by_it(
    state: StateDir, until: Until, arm: Arm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its submitter finds the lock held and starts none; no other command comes. The runner stands
    still right before it lets go."""
    fired = arm("runner", "before release")
    monkeypatch.setenv("KTJOB_KILL", f"runner|before release|{fired}|SIGSTOP")
    monkeypatch.setenv("KTJOB_CONSTANTS", f"{HASTE},jobs.runner.loop.IDLE_SECONDS=0")
    submit(state)
    until(fired.exists)
    runner = identity.holder(state.runner_lock)
    assert runner is not None
    until(lambda: identity.is_stopped(runner))
    monkeypatch.delenv("KTJOB_KILL")
    assert submit(state).returncode == 0
    os.kill(runner.pid, signal.SIGCONT)
    until(everything_ended(state, lambda state: None))
    with Store.open(state) as store:
        assert [job.state for job in store.newest(10)] == ["SUCCEEDED"] * 2


@pytest.mark.parametrize("point", OF_WORKER_UNCLAIMED)
def test_a_worker_killed_before_its_claim_costs_no_attempt(
    state: StateDir, until: Until, arm: Arm, point: str
) -> None:
    """The job is QUEUED all the while."""
    fired = arm("worker", point)
    submit(state)
    until(everything_ended(state, serve))
    assert fired.exists() and the_attempts(state) == ["half, whole"]


@pytest.mark.parametrize("point", [*OF_WORKER_CLAIMED, *OF_WORKER_WITH_TEXT])
def test_a_worker_killed_after_its_claim_costs_one(
    state: StateDir, until: Until, arm: Arm, point: str
) -> None:
    """And keeps what was on disk."""
    fired = arm("worker", point)
    submit(state)
    until(everything_ended(state, serve))
    first = {"after text": "half, whole", "before finish": "half, whole"}.get(point, "")
    assert fired.exists() and the_attempts(state) == [first, "half, whole"]


def test_a_worker_killed_after_its_finish_has_finished(
    state: StateDir, until: Until, arm: Arm
) -> None:
    """The commit counts."""
    fired = arm("worker", "after finish")
    submit(state)
    until(everything_ended(state, serve))
    assert fired.exists() and the_attempts(state) == ["half, whole"]


@pytest.mark.parametrize("point", OF_REQUEST)
def test_a_worker_killed_at_a_step_of_its_request_is_followed_by_one_more(
    state: StateDir, server: FakeServer, arm: Arm, point: str
) -> None:
    """Asked again under a new name, and whole; asked at most twice."""
    fired = arm("worker", point)
    before = len(server.requests())
    job = _command_submit(state, server)
    assert job.result() == "one two three four five six"
    assert fired.exists() and job.status().attempt == 2
    with Store.open(state) as store:
        first, second = store.attempts(job.id)
    assert first.phase == OF_REQUEST[point]
    asked = [str(body["rid"]) for body in server.requests()[before:]]
    assert asked[-1] == second.rid and set(asked[:-1]) <= {first.rid}


@pytest.mark.promise
@pytest.mark.parametrize("point", ["after phase waiting", "after text"])
def test_with_one_attempt_the_job_is_lost_and_tells_where(
    state: StateDir, server: FakeServer, arm: Arm, point: str, ktjob_command: list[str]
) -> None:
    """The phase in the message, and what had arrived shown by `ktjob result`."""
    fired = arm("worker", point)
    job = _command_submit(state, server, "--max-attempts", "1")
    with pytest.raises(errors.JobLost, match=f"in phase '{OF_REQUEST[point]}', attempt 1 of 1"):
        job.result()
    assert fired.exists()
    shown = subprocess.run(
        [*ktjob_command, "result", job.id], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 1 and "was killed" in shown.stderr
    with Store.open(state) as store:
        kept = "".join(piece.text for piece in store.pieces(job.id, 1))
    assert shown.stdout.strip() == kept.strip() and bool(kept) == (point == "after text")


def _command_submit(state: StateDir, server: FakeServer, *options: str) -> Job:
    """Through the real command, whose runner has the environment that kills."""
    quick = "ktclient.worker.ghost_prefill.LOOK_SECONDS=0.2"
    environment = {**os.environ, "KTJOB_CONSTANTS": f"{HASTE},{quick}"}
    document = state.root.parent / "book.txt"
    document.write_text("It was a dark and stormy night. " * 50)
    command = [sys.executable, "-m", "ktclient", "submit", str(document), "--server", server.url]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, check=True, env=environment
    )
    return Job(done.stdout.strip())
