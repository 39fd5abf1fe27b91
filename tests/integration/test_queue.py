"""The queue with real processes: a detached runner, forked workers, and no server at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.model import Capacity, Identity, Job, NewJob, Status
from jobs.processes import identity
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

pytestmark = pytest.mark.each_python

WORK = "toy_work:perform"
Until = Callable[..., object]


@pytest.fixture(autouse=True)
def importable_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner inherits the environment: it finds the toy work there."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"))


def submit(
    state: StateDir, pool: str = "pool", capacity: int = 1, attempts: int = 1, **spec: object
) -> Job:
    new = NewJob(pool, json.dumps(spec), b"text", "title", max_attempts=attempts)
    with Store.open(state) as store:
        job = store.submit(new, Capacity(slots=capacity))
    start.ensure_runner(state, WORK)
    return job


def look(state: StateDir, job: Job) -> Job:
    with Store.open(state) as store:
        return store.job(job.id)


def text_of(state: StateDir, job: Job) -> str:
    with Store.open(state) as store:
        return "".join(piece.text for piece in store.pieces(job.id, look(state, job).attempt))


def running(state: StateDir, job: Job) -> Callable[[], bool]:
    return lambda: look(state, job).status is Status.RUNNING


def ended(state: StateDir, job: Job) -> Callable[[], bool]:
    return lambda: look(state, job).status is Status.FINISHED


def worker_of(state: StateDir, job: Job) -> Identity:
    with Store.open(state) as store:
        attempt = store.attempt(store.job(job.id))
    assert attempt is not None
    return attempt.worker


def runner_of(state: StateDir) -> Identity:
    runner = identity.holder(state.runner_lock)
    assert runner is not None
    return runner


def test_a_submitted_job_is_performed(state: StateDir, until: Until) -> None:
    """From the commit to the result, by processes that the submitter does not wait for."""
    job = submit(state, say="done")
    until(ended(state, job))
    assert look(state, job).state == "SUCCEEDED"
    assert text_of(state, job) == "done"


def test_failures_are_told_by_cause_and_bugs_by_their_log(state: StateDir, until: Until) -> None:
    """A failure has a message; a bug has a traceback in the job's log, and the text is kept."""
    failed = submit(state, say="so far", fail="the server is on fire")
    buggy = submit(state, bug="oops")
    odd = submit(state, attempts=2, say="half a character: \ud83d")
    until(ended(state, failed))
    until(ended(state, buggy))
    until(ended(state, odd))
    job = look(state, failed)
    assert (job.state, job.cause, job.message) == ("FAILED", "error", "the server is on fire")
    assert text_of(state, failed) == "so far"
    job = look(state, buggy)
    assert (job.state, job.cause) == ("FAILED", "bug")
    assert "ZeroDivisionError: oops" in state.job_log(buggy.id).read_text()
    job = look(state, odd)  # what no database takes is no death of a worker, to be paid again
    assert (job.state, job.cause, job.attempt) == ("FAILED", "bug", 1)
    assert "UnicodeEncodeError" in str(job.message)


def test_one_at_a_time_in_a_pool_and_side_by_side_in_two(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """Capacity is kept, in order of submission."""
    gate = tmp_path / "gate"
    first = submit(state, until=str(gate))
    second = submit(state, until=str(gate))
    other = submit(state, pool="other", until=str(gate))
    until(running(state, first))
    until(running(state, other))
    assert look(state, second).status is Status.QUEUED
    gate.touch()
    until(ended(state, second))
    assert look(state, first).finished_at <= look(state, second).started_at  # type: ignore[operator]


@pytest.mark.promise
def test_the_runner_and_its_workers_have_left_the_terminal(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """Own sessions, no terminal, no parent, deaf to SIGHUP, cwd and umask set, streams on a log. A
    worker's is not its runner's: whoever kills the runner's whole group does not reach it."""
    job = submit(state, until=str(tmp_path / "gate"))
    until(running(state, job))
    runner, worker = runner_of(state), worker_of(state, job)
    for process in (runner, worker):
        proc = Path(f"/proc/{process.pid}")
        fields = (proc / "stat").read_text().rpartition(") ")[2].split()
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines())
        assert fields[4] == "0", "has a controlling terminal"
        assert int(fields[3]) != os.getsid(0), "is in our session"
        assert int(status["SigIgn"], 16) & (1 << (signal.SIGHUP - 1)), "SIGHUP is not ignored"
        assert status["Umask"].strip() == "0077"
        assert (proc / "cwd").resolve() == state.root.resolve()
        assert (proc / "fd/0").resolve() == Path(os.devnull)
        assert (proc / "fd/1").resolve().parent in (state.root, state.root / "logs")
    assert os.getpid() not in _ancestors(runner.pid)
    os.killpg(os.getpgid(runner.pid), signal.SIGKILL)
    until(lambda: not identity.is_same_process_alive(runner))
    assert identity.is_same_process_alive(worker)


def _ancestors(pid: int) -> list[int]:
    found = []
    while pid > 1:
        stat = Path(f"/proc/{pid}/stat").read_text()
        pid = int(stat.rpartition(") ")[2].split()[1])
        found.append(pid)
    return found


def test_sighup_and_sigterm_of_the_runner_do_not_touch_the_work(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """A runner told to leave leaves its workers at work; the last of them ends by itself."""
    gate = tmp_path / "gate"
    job = submit(state, until=str(gate), then="to the end")
    until(running(state, job))
    runner = runner_of(state)
    os.kill(runner.pid, signal.SIGHUP)
    os.kill(worker_of(state, job).pid, signal.SIGHUP)
    os.kill(runner.pid, signal.SIGTERM)
    until(lambda: not identity.is_same_process_alive(runner))
    assert identity.is_same_process_alive(worker_of(state, job))
    gate.touch()
    until(ended(state, job))
    assert text_of(state, job) == "to the end"


def test_work_goes_on_when_the_runner_is_killed_and_the_next_runner_adopts_it(
    state: StateDir, until: Until, tmp_path: Path, kill_runner: Callable[[], int]
) -> None:
    """Adopted, not repeated: one attempt, one claim, and its pool stays full meanwhile."""
    gate = tmp_path / "gate"
    job = submit(state, until=str(gate), then="whole")
    until(running(state, job))
    kill_runner()
    until(lambda: not start.is_runner_alive(state))
    behind = submit(state, say="after it")  # starts the next runner
    assert start.is_runner_alive(state)
    until(lambda: "serves" in state.runner_log.read_text().split("serves", 1)[1])
    assert look(state, behind).status is Status.QUEUED
    gate.touch()
    until(ended(state, behind))
    assert (text_of(state, job), look(state, job).attempt) == ("whole", 1)


@pytest.mark.promise
def test_a_worker_that_finds_no_runner_starts_one_for_what_waits(
    state: StateDir, until: Until, tmp_path: Path, kill_runner: Callable[[], int]
) -> None:
    """Neither process is a single point of loss: nobody has to type a command."""
    gate = tmp_path / "gate"
    first, second = submit(state, until=str(gate)), submit(state, say="second")
    until(running(state, first))
    kill_runner()
    gate.touch()
    until(ended(state, second))
    assert text_of(state, second) == "second"


def test_a_killed_worker_is_found_and_its_text_kept(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """LOST, with the phase it died in, and what it had said; the next job then starts."""
    job = submit(state, say="half an answer", until=str(tmp_path / "never"))
    behind = submit(state, say="next")
    until(lambda: text_of(state, job))
    os.kill(worker_of(state, job).pid, signal.SIGKILL)
    until(ended(state, job))
    lost = look(state, job)
    assert (lost.state, lost.cause) == ("LOST", "worker_died")
    assert lost.message is not None and "phase 'working'" in lost.message
    assert text_of(state, job) == "half an answer"
    until(ended(state, behind))


def test_a_killed_worker_is_followed_by_one_more_where_that_is_allowed(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """A fresh attempt under a fresh name; after the last one the job is LOST, its text kept."""
    job = submit(state, say="begun", until=str(tmp_path / "never"), attempts=2)
    for number in (1, 2):
        until(lambda number=number: look(state, job).attempt == number and text_of(state, job))
        os.kill(worker_of(state, job).pid, signal.SIGKILL)
    until(ended(state, job))
    assert look(state, job).state == "LOST"
    with Store.open(state) as store:
        first, second = store.attempts(job.id)
        kinds = [event.kind for event in store.events(job.id)]
        assert [store.pieces(job.id, number)[0].text for number in (1, 2)] == ["begun"] * 2
    assert first.rid != second.rid
    assert first.ended_at is not None and first.ended_at <= second.started_at
    assert kinds.count("queued again") == 1 and kinds.count("finished") == 1


def test_cancel_reaches_running_work(state: StateDir, until: Until, tmp_path: Path) -> None:
    """Within a beat, and what had been said stays."""
    job = submit(state, say="until here", until=str(tmp_path / "never"))
    until(lambda: text_of(state, job))
    with Store.open(state) as store:
        store.request_cancel(job.id)
    until(ended(state, job))
    assert look(state, job).state == "CANCELLED"
    assert text_of(state, job) == "until here"


def test_many_would_be_runners_become_one(state: StateDir, until: Until, tmp_path: Path) -> None:
    """Started at once, one holds the lock and the others leave."""
    gate = tmp_path / "gate"
    with Store.open(state) as store:
        spec = json.dumps({"until": str(gate)})
        job = store.submit(NewJob("pool", spec, b"text", "title"), Capacity(slots=1))
    command = [sys.executable, "-m", "jobs.runner", str(state.root), WORK]
    rivals = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(4)]
    until(running(state, job))
    until(lambda: sum(rival.poll() is None for rival in rivals) == 1)
    survivor = next(rival for rival in rivals if rival.poll() is None)
    assert runner_of(state).pid == survivor.pid
    gate.touch()
    until(ended(state, job))
    survivor.terminate()
    survivor.wait()


@pytest.mark.promise
def test_sixteen_submitters_and_four_would_be_runners_lose_nothing(
    state: StateDir, until: Until
) -> None:
    """Side by side, into a database that did not exist: each job is there, and done once."""
    code = (
        "import sys, pathlib; from jobs.store.state_dir import StateDir\n"
        "from jobs.model import Capacity, NewJob\n"
        "from jobs.runner import start as starting; from jobs.store.store import Store\n"
        "state = StateDir(pathlib.Path(sys.argv[1]))\n"
        "for number in range(3):\n"
        "    with Store.open(state) as store:\n"
        "        store.submit(NewJob('p', '{}', b'x', 't'), Capacity(slots=4))\n"
        "    starting.ensure_runner(state, 'toy_work:perform')\n"
    )
    command = [sys.executable, "-c", code, str(state.root)]
    runner = [sys.executable, "-m", "jobs.runner", str(state.root), WORK]
    submitters = [subprocess.Popen(command) for _ in range(16)]
    rivals = [subprocess.Popen(runner, stderr=subprocess.DEVNULL) for _ in range(4)]
    assert [submitter.wait() for submitter in submitters] == [0] * 16

    def all_ended() -> bool:
        with Store.open(state) as store:
            return len(store.in_status(Status.FINISHED)) == 48

    until(all_ended)
    with Store.open(state) as store:
        assert {job.state for job in store.in_status(Status.FINISHED)} == {"SUCCEEDED"}
        assert {job.attempt for job in store.in_status(Status.FINISHED)} == {1}
    until(lambda: sum(rival.poll() is None for rival in rivals) <= 1)
    served = runner_of(state)
    assert identity.is_same_process_alive(served)
    for rival in rivals:
        rival.terminate()
        rival.wait()
