"""Submitting toy work to a state directory and looking at what becomes of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

from jobs.model import Attempt, Capacity, Job, NewJob, Status
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

SUPPORT = Path(__file__).parent
WORK = "toy_work:perform"


def submit(state: StateDir, pool: str = "pool", attempts: int = 1, **spec: object) -> Job:
    """Store a job and make sure that a runner lives."""
    job = put(state, pool, attempts, **spec)
    start.ensure_runner(state, WORK)
    return job


def put(state: StateDir, pool: str = "pool", attempts: int = 1, **spec: object) -> Job:
    """Store a job only."""
    new = NewJob(pool, json.dumps(spec), b"text", "title", max_attempts=attempts)
    with Store.open(state) as store:
        return store.submit(new, Capacity(slots=1))


def look(state: StateDir, job: Job) -> Job:
    with Store.open(state) as store:
        return store.job(job.id)


def attempt_of(state: StateDir, job: Job) -> Attempt:
    with Store.open(state) as store:
        found = store.attempt(store.job(job.id))
    assert found is not None
    return found


def text_of(state: StateDir, job: Job) -> str:
    with Store.open(state) as store:
        return "".join(p.text for p in store.pieces(job.id, store.job(job.id).attempt))


def running(state: StateDir, job: Job) -> Callable[[], bool]:
    return lambda: look(state, job).status is Status.RUNNING


def ended(state: StateDir, job: Job) -> Callable[[], bool]:
    return lambda: look(state, job).status is Status.FINISHED


def sql(state: StateDir, statement: str, *values: object) -> list[tuple[object, ...]]:
    """By hand, as a person with a database browser would."""
    return sql_of(state.database, statement, *values)


def sql_of(database: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    """The same in any database file."""
    connection = sqlite3.connect(database, timeout=30)
    try:
        with connection:
            return connection.execute(statement, values).fetchall()
    finally:
        connection.close()
