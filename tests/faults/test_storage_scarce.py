"""Too many processes, too few file descriptors, and very many jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import processes, queueing

from jobs.model import Capacity, NewJob, Status
from jobs.processes import identity
from jobs.runner import start
from jobs.store import sql
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import recovery

Until = Callable[..., object]
MANY = int(os.environ.get("KTJOB_MANY_JOBS", "10000"))


@pytest.fixture(autouse=True)
def importable_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(queueing.SUPPORT))


@pytest.fixture
def refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """So many of the next forks fail with EAGAIN."""
    left = tmp_path / "refusals"

    def refuse(times: int) -> Path:
        left.write_text("no\n" * times)
        return left

    refuse(0)
    folder = queueing.SUPPORT / "refusing"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(queueing.SUPPORT)]))
    monkeypatch.setenv("KTJOB_REFUSE", str(left))
    return refuse


@pytest.mark.promise
def test_a_fork_that_is_refused_is_tried_again(
    state: StateDir, until: Until, refusals: Callable[[int], Path]
) -> None:
    """By the start of the runner, and by the runner, which says so in its log."""
    refusals(2)
    queueing.submit(state, say="x")
    first = queueing.put(state, pool="a", say="y")
    second = queueing.put(state, pool="b", say="z")
    left = refusals(2)
    start.ensure_runner(state, queueing.WORK)
    for job in (first, second):
        until(queueing.ended(state, job))
        assert queueing.look(state, job).state == "SUCCEEDED"
    assert left.read_text() == "" and "cannot fork a worker" in state.runner_log.read_text()


def test_a_submit_without_a_runner_is_stored_and_says_so(
    state: StateDir, ktjob_command: list[str], tmp_path: Path
) -> None:
    """Its id is printed: whoever was told of a failure would submit, and pay, twice. The next
    command starts the runner."""
    code = "import subprocess\ndef no(*a, **k): raise BlockingIOError(11, 'no room')\n"
    code += "subprocess.Popen = no\n"
    folder = tmp_path / "no_processes"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    command = [*ktjob_command, "submit", "-", "--server", "embedded"]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    said = subprocess.run(command, input="words", env=env, capture_output=True, text=True)
    job_id = said.stdout.strip()
    assert said.returncode == 0 and "the next ktjob command retries" in said.stderr
    assert "Traceback" not in said.stderr
    with Store.open(state) as store:
        assert store.job(job_id).status is Status.QUEUED
    assert not start.is_runner_alive(state)


@pytest.mark.parametrize("limit", [9, 14, 20])
def test_few_file_descriptors_lose_no_job(state: StateDir, until: Until, limit: int) -> None:
    """With 20 everything runs; with fewer the runner works, says what is missing, or does not
    start, and the next one finds the job where it was."""
    job = queueing.put(state, say="done")
    done = queueing.ended(state, job)
    with state.runner_log.open("w") as log:
        runner = [sys.executable, "-m", "jobs.runner", str(state.root), queueing.WORK]
        poor = subprocess.Popen(
            ["prlimit", f"--nofile={limit}", *runner],
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    try:
        until(
            lambda: (
                done()
                or (limit < 20 and poor.poll() is not None)
                or (limit < 20 and "too many" in state.runner_log.read_text().lower())
            )
        )
    finally:
        poor.kill()
        poor.wait()
    start.ensure_runner(state, queueing.WORK)
    until(done)
    assert queueing.look(state, job).state == "SUCCEEDED"


@pytest.fixture
def many(state: StateDir) -> StateDir:
    """A queue of very many jobs in one pool, and a last one in another."""
    new = NewJob("pool", "x" * 2000, b"text", "title")
    with Store.open(state) as store:
        first = store.submit(new, Capacity(slots=1))
    queueing.sql(
        state,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO jobs (id, pool, weight, title, spec, document, created_at) "
        "SELECT 'z' || i, pool, 1, title, spec, document, created_at FROM jobs, n",
        MANY,
    )
    with Store.open(state) as store:
        store.submit(NewJob("other", "{}", b"text", "last"), Capacity(slots=1))
    assert first.id
    return state


@pytest.mark.promise
def test_a_look_at_a_long_queue_reads_few_rows(
    many: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Submit, a runner's tick and a command's look fetch no more rows for ten thousand waiting jobs
    than for a hundred, and the last pool's only job is among them."""
    fetched: list[int] = []
    read = Store._all

    def counting(self: Store, query: str, **values: object) -> list[object]:
        found = read(self, query, **values)
        fetched.append(len(found))
        return found  # type: ignore[return-value]

    monkeypatch.setattr(Store, "_all", counting)
    with Store.open(many) as store:
        line = store.next_in_line()
        assert len(line) == 101 and line[-1].title == "last"
        assert [job.id for job in line[1:4]] == ["z1", "z2", "z3"]
        fetched.clear()
        recovery.recover(store, many)
        store.has(Status.QUEUED), store.newest(20), store.find("z777"), store.capacities()
        store.submit(NewJob("pool", "{}", b"text", "title"), Capacity(slots=1))
    assert sum(fetched) < 40 and len(fetched) <= 12


def test_no_question_asked_often_scans_the_whole_queue(many: StateDir) -> None:
    """The runner's own look does, once in two seconds: of each job it reads the pool's name."""
    often = {
        "job_by_id": {"id": "x"},
        "jobs_by_prefix": {"prefix": "z7"},
        "newest_jobs": {"limit": 20},
        "jobs_in_status": {"status": "RUNNING"},
        "has_status": {"status": "QUEUED"},
        "is_cancel_requested": {"id": "x"},
        "events": {"job_id": "x"},
        "pieces": {"job_id": "x", "number": 1, "after": 0},
    }
    with Store.open(many) as store:
        for name, values in often.items():
            plan = store._connection.execute(f"EXPLAIN QUERY PLAN {sql.queries()[name]}", values)
            steps = [row["detail"] for row in plan]
            whole = [step for step in steps if step.startswith("SCAN jobs")]
            assert not whole or name == "newest_jobs", (name, steps)


def test_the_last_pool_is_served_beside_a_long_queue(many: StateDir, until: Until) -> None:
    """By a real runner, while the other pool is full."""
    queueing.sql(many, "UPDATE jobs SET spec = ?", '{"say": "x"}')
    start.ensure_runner(many, queueing.WORK)
    until(
        lambda: queueing.sql(
            many, "SELECT 1 FROM jobs WHERE title = 'last' AND status = 'FINISHED'"
        )
    )
    runner = identity.holder(many.runner_lock)
    assert runner is not None and len(processes.of(many)) <= 3
