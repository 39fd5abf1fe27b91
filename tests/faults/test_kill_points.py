"""kill -9 at random points of every process, and what must be true afterwards.

Two state directories side by side, each with several jobs in flight, until 200 processes -
submitters, runners, workers - have been killed (tests/support/crash_loop.py).
KTJOB_KILL_POINTS=2000 does more.
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from support import processes

from jobs.layout import StateDir
from jobs.model import Job, Status
from jobs.store import Store
from jobs.upkeep import Upkeep

KILLS = int(os.environ.get("KTJOB_KILL_POINTS", "200"))
SUPPORT = Path(__file__).parents[1] / "support"
START = "import crash_loop; crash_loop.main()"
CAPACITY = 2
Promised = dict[tuple[str, int], list[str]]


@pytest.mark.timeout(60 + 3 * KILLS)
def test_whatever_is_killed_nothing_is_lost_or_done_twice_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No job whose id was given out is lost, none runs twice at once, no acknowledged text is
    lost, every job ends, and the database is sound."""
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
    assert killed.total() >= KILLS // 2 * 2 and set(killed) == {"submit", "runner", "worker"}
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
            _check_job(store, job, promised)
        _check_capacity(store, list(jobs.values()))
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


def _check_job(store: Store, job: Job, promised: Promised) -> None:
    attempts = store.attempts(job.id)
    assert [attempt.number for attempt in attempts] == list(range(1, job.attempt + 1))
    for earlier, later in itertools.pairwise(attempts):
        assert earlier.ended_at is not None and earlier.ended_at <= later.started_at
    assert len({attempt.rid for attempt in attempts}) == len(attempts)
    for attempt in attempts:
        text = "".join(piece.text for piece in store.pieces(job.id, attempt.number))
        for acknowledged in promised[job.id, attempt.number]:
            assert f"{acknowledged} " in text, "acknowledged text is gone"
    if job.state == "SUCCEEDED":
        assert text == "begun 0 1 2 3 4 5 "
    else:
        assert (job.state, job.cause) == ("LOST", "worker_died")
        assert job.attempt == job.max_attempts, "given up too early"
        assert job.message is not None and "in phase" in job.message
    kinds = Counter(event.kind for event in store.events(job.id))
    assert kinds["submitted"] == kinds["finished"] == 1
    assert kinds["claimed"] == job.attempt and kinds["queued again"] == job.attempt - 1


def _check_capacity(store: Store, jobs: list[Job]) -> None:
    """No pool ever held more than its capacity, however often its runner changed."""
    for pool in {job.pool for job in jobs}:
        attempts = [one for job in jobs if job.pool == pool for one in store.attempts(job.id)]
        steps = [(one.started_at, 1) for one in attempts]
        steps += [(one.ended_at or "", -1) for one in attempts]
        running = list(itertools.accumulate(step for _, step in sorted(steps)))
        assert max(running) <= CAPACITY and running[-1] == 0
