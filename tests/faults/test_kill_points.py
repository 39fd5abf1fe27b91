"""kill -9 at random points of every process, and what must be true afterwards.

Two state directories side by side, each with several jobs in flight - plain ones, some under keys,
some that wait for a time or for others, some done by parts, some cancelled, half of them to be told
of - until 200 processes have been killed: submitters, runners, workers, messengers
(tests/support/crash_loop.py). KTJOB_KILL_POINTS=2000 does more.
"""

from __future__ import annotations

import itertools
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from support import crash_submits, processes

from jobs.model import Attempt, Job, Status
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.upkeep.garbage import Upkeep

KILLS = int(os.environ.get("KTJOB_KILL_POINTS", "200"))
SUPPORT = Path(__file__).parents[1] / "support"
START = "import crash_loop; crash_loop.main()"
CONDUCTING = "conducting"
Promised = dict[tuple[str, int], list[str]]


@pytest.mark.promise
@pytest.mark.long
def test_whatever_is_killed_nothing_is_lost_or_done_twice_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No job whose id was given out is lost, none runs twice at once, no acknowledged text is
    lost, every job ends, every end is told, and the database is sound."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
    states = [StateDir(tmp_path / name) for name in ("left", "right")]
    loops = [_start(state, KILLS // 2, seed + n) for n, state in enumerate(states)]
    try:
        for loop in loops:
            _, said = loop.communicate()
            assert loop.returncode == 0, said
    finally:
        for loop, state in zip(loops, states, strict=True):
            loop.kill()
            processes.end_all(state)
    killed = Counter(role for state in states for role, _ in map(_kill, _lines(state, "kills")))
    assert killed.total() >= KILLS // 2 * 2
    assert set(killed) >= {"submit", "runner", "worker"}
    print(f"killed {dict(killed)}")
    for state in states:
        _check(state)


def _start(state: StateDir, kills: int, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", START, str(state.root), str(kills), str(seed)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def _kill(line: str) -> tuple[str, str]:
    role, _, where = line.partition(" ")
    return role, where


def _lines(state: StateDir, kind: str) -> list[str]:
    return Path(f"{state.root}.{kind}").read_text().splitlines()


def _check(state: StateDir) -> None:
    promised = _promised(state)
    with Store.open(state) as store:
        jobs = {job.id: job for job in store.in_status(Status.FINISHED)}
        assert not store.has(Status.QUEUED) and not store.has(Status.RUNNING)
        printed = _lines(state, "printed")
        assert printed and set(printed) <= set(jobs), "a job whose id was given out is gone"
        for job in jobs.values():
            attempts = _check_attempts(store, job)
            _check_text(store, job, promised)
            _check_end(store, job)
            _check_conditions(store, job, attempts)
            _check_family(store, job, jobs, attempts)
        _check_capacity(store, list(jobs.values()))
    _check_keys(state, jobs)
    _check_cancels(state, jobs)
    _check_told(state, jobs)
    with Upkeep.open(state) as upkeep:
        assert upkeep.problems() == []


def _promised(state: StateDir) -> Promised:
    """What each attempt acknowledged. Lines are in the order in which they were written: none of
    an attempt may come after the beginning of the next."""
    promised: Promised = defaultdict(list)
    begun: dict[str, int] = defaultdict(int)
    for line in _lines(state, "acks"):
        job_id, attempt, text = line.split()
        if text == "begin":
            assert int(attempt) > begun[job_id], "an attempt was done twice"
            begun[job_id] = int(attempt)
        else:
            assert int(attempt) == begun[job_id], "two attempts ran at once"
            promised[job_id, int(attempt)].append(text)
    return promised


def _check_attempts(store: Store, job: Job) -> list[Attempt]:
    """One after another, none after a cancel."""
    attempts = store.attempts(job.id)
    assert [attempt.number for attempt in attempts] == list(range(1, job.attempt + 1))
    for earlier, later in itertools.pairwise(attempts):
        assert earlier.ended_at is not None and earlier.ended_at <= later.started_at
    assert len({attempt.rid for attempt in attempts}) == len(attempts)
    for attempt in attempts:
        assert job.cancel_requested_at is None or attempt.started_at <= job.cancel_requested_at
    return attempts


def _check_text(store: Store, job: Job, promised: Promised) -> None:
    text = ""
    for number in range(1, job.attempt + 1):
        text = "".join(piece.text for piece in store.pieces(job.id, number))
        for acknowledged in promised[job.id, number]:
            assert f"{acknowledged} " in text, "acknowledged text is gone"
    if job.state == "SUCCEEDED":
        parts = len(store.parts(job.id)) if job.pool == CONDUCTING else 1
        assert text == crash_submits.TEXT * parts


def _check_end(store: Store, job: Job) -> None:
    """Each for its own reason, and once."""
    if job.state == "LOST":
        assert (job.cause, job.attempt) == ("worker_died", job.max_attempts), "given up too early"
        assert job.message is not None and "in phase" in job.message
    elif job.state == "CANCELLED":
        assert job.cancel_requested_at is not None
    elif job.state == "FAILED":
        is_whole = job.pool == CONDUCTING
        assert job.cause == ("part_failed" if is_whole and job.attempt else "prerequisite_failed")
    kinds = Counter(event.kind for event in store.events(job.id))
    assert kinds["submitted"] == kinds["finished"] == 1
    assert kinds["claimed"] == job.attempt
    again = job.attempt if kinds["queued again"] == job.attempt else job.attempt - 1
    assert kinds["queued again"] == max(0, again)
    assert again < job.attempt or job.attempt == 0 or job.state == "CANCELLED"


def _check_conditions(store: Store, job: Job, attempts: list[Attempt]) -> None:
    """Nothing begins before its time, or before what it needs has succeeded."""
    needed = [store.job(one) for one in store.needs(job.id)]
    if attempts:
        began = attempts[0].started_at
        assert job.not_before is None or job.not_before <= began
        for one in needed:
            assert one.state == "SUCCEEDED" and (one.finished_at or "") <= began
    elif any(one.state != "SUCCEEDED" for one in needed):
        assert job.state in ("FAILED", "CANCELLED")
    else:
        assert job.state == "CANCELLED", "never begun"


def _check_family(store: Store, job: Job, jobs: dict[str, Job], attempts: list[Attempt]) -> None:
    """Each part is there once, and none begins after its whole has ended."""
    if job.parent is not None:
        ended = jobs[job.parent].finished_at or ""
        assert all(attempt.started_at <= ended for attempt in attempts)
    parts = store.parts(job.id)
    assert sorted(part.part or "" for part in parts) == [str(n + 1) for n in range(len(parts))]
    if job.state == "SUCCEEDED":
        assert all(part.state == "SUCCEEDED" for part in parts)
        assert bool(parts) == (job.pool == CONDUCTING)


def _check_capacity(store: Store, jobs: list[Job]) -> None:
    """No pool ever held more than its capacity, however often its runner changed."""
    for pool in {job.pool for job in jobs}:
        attempts = [one for job in jobs if job.pool == pool for one in store.attempts(job.id)]
        steps = [(one.started_at, 1) for one in attempts]
        steps += [(one.ended_at or "", -1) for one in attempts]
        running = list(itertools.accumulate(step for _, step in sorted(steps)))
        if running:
            assert max(running) <= (crash_submits.POOLS[pool].slots or 0) and running[-1] == 0


def _check_keys(state: StateDir, jobs: dict[str, Job]) -> None:
    """One key, one job, whoever has heard of it."""
    of_key: dict[str, str] = {}
    for line in _lines(state, "keyed"):
        key, job_id = line.rsplit(" ", 1)
        assert of_key.setdefault(key, job_id) == job_id and jobs[job_id].submit_key == key


def _check_cancels(state: StateDir, jobs: dict[str, Job]) -> None:
    """Who was told that a job has ended was told the truth; a wish that was taken is kept."""
    for line in _lines(state, "cancels"):
        job_id, said = line.split()
        assert said != "QUEUED"
        if said != "RUNNING":
            assert jobs[job_id].state == said, "an end has changed"
        else:
            assert jobs[job_id].cancel_requested_at is not None


def _check_told(state: StateDir, jobs: dict[str, Job]) -> None:
    """Each end at least once, and as it was."""
    told = [line.split() for line in _lines(state, "told")]
    assert all(jobs[job_id].state == said for job_id, said in told)
    with sqlite3.connect(state.database) as database:
        owed = database.execute("SELECT job_id, told_at FROM tellings").fetchall()
    assert owed and all(told_at is not None for _, told_at in owed)
    assert {job_id for job_id, _ in owed} == {job_id for job_id, _ in told}
