"""The states of a job: the table in the model, and the same table in the database itself."""

from __future__ import annotations

import sqlite3
from itertools import product

import pytest
from support import processes

from jobs.errors import IllegalTransition
from jobs.model import TRANSITIONS, Capacity, NewJob, Outcome, Status
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import recovery

PAIRS = [pair for pair in product(Status, Status) if pair[0] is not pair[1]]


@pytest.fixture
def job_id(state: StateDir) -> str:
    with Store.open(state) as store:
        return store.submit(NewJob("pool", "{}", b"text", "title"), Capacity(slots=1)).id


def set_status(state: StateDir, job_id: str, status: Status) -> None:
    """By hand, as a person with a database browser would."""
    outcome = "SUCCEEDED" if status is Status.FINISHED else None
    at = "2026-01-01T00:00:00.000Z" if status is Status.FINISHED else None
    connection = sqlite3.connect(state.database)
    try:
        with connection:
            connection.execute(
                "UPDATE jobs SET attempt = 1, status = ?, outcome = ?, finished_at = ?"
                " WHERE id = ?",
                (status.value, outcome, at, job_id),
            )
    finally:
        connection.close()


def path_to(status: Status) -> list[Status]:
    return {
        Status.QUEUED: [],
        Status.RUNNING: [Status.RUNNING],
        Status.FINISHED: [Status.FINISHED],
    }[status]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_the_database_allows_exactly_the_edges_of_the_model(
    state: StateDir, job_id: str, old: Status, new: Status
) -> None:
    """No program and no person gets round the table."""
    for step in path_to(old):
        set_status(state, job_id, step)
    if (old, new) in TRANSITIONS:
        set_status(state, job_id, new)
    else:
        with pytest.raises(sqlite3.IntegrityError):
            set_status(state, job_id, new)


def test_a_finished_job_keeps_its_outcome(state: StateDir, job_id: str) -> None:
    """The end is written once."""
    with Store.open(state) as store:
        attempt = store.claim(job_id, identity.mine())
        store.finish(job_id, attempt.number, Outcome.SUCCEEDED, None, None)
        with pytest.raises(IllegalTransition):
            store.finish(job_id, attempt.number, Outcome.FAILED, "late", "too late")
        assert store.job(job_id).outcome is Outcome.SUCCEEDED


def test_only_one_of_two_claims_wins(state: StateDir, job_id: str) -> None:
    """The second claimer is told, and changes nothing."""
    with Store.open(state) as first, Store.open(state) as second:
        first.claim(job_id, identity.mine())
        with pytest.raises(IllegalTransition):
            second.claim(job_id, identity.mine())
        assert first.job(job_id).attempt == 1


def test_an_older_attempt_is_fenced_off(state: StateDir, job_id: str) -> None:
    """A zombie worker of attempt 1 can write nothing once attempt 2 has the job."""
    with Store.open(state) as store:
        old = store.claim(job_id, identity.mine())
    set_status(state, job_id, Status.QUEUED)  # as a proof of the first worker's death would
    connection = sqlite3.connect(state.database)
    with connection:
        connection.execute("UPDATE attempts SET ended_at = 'now' WHERE number = 1")
        connection.execute("UPDATE jobs SET attempt = 1")
    connection.close()
    with Store.open(state) as store:
        new = store.claim(job_id, identity.mine())
        assert (old.number, new.number) == (1, 2)
        assert old.rid != new.rid and len(new.rid) == 32
        with pytest.raises(IllegalTransition):
            store.enter_phase(job_id, old.number, "prefill")
        with pytest.raises(IllegalTransition):
            store.finish(job_id, old.number, Outcome.SUCCEEDED, None, None)
        store.finish(job_id, new.number, Outcome.SUCCEEDED, None, None)


def test_cancel_ends_a_queued_job_and_is_a_wish_for_a_running_one(
    state: StateDir, job_id: str
) -> None:
    """A wish is a column, not a state, and wishing twice changes nothing."""
    with Store.open(state) as store:
        store.claim(job_id, identity.mine())
        wished = store.request_cancel(job_id)
        assert wished.status is Status.RUNNING and store.is_cancel_requested(job_id)
        assert store.request_cancel(job_id).cancel_requested_at == wished.cancel_requested_at
        other = store.submit(NewJob("pool", "{}", b"text", "other"), Capacity(slots=1))
        assert store.request_cancel(other.id).outcome is Outcome.CANCELLED
        with pytest.raises(IllegalTransition):
            store.claim(other.id, identity.mine())


def test_a_cancel_that_is_wished_for_allows_no_further_attempt(
    state: StateDir, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it comes right while somebody looks at the dead worker: CANCELLED, not LOST."""
    with Store.open(state) as store:
        again = store.submit(
            NewJob("pool", "{}", b"text", "title", max_attempts=9), Capacity(slots=1)
        )
        store.request_cancel(job_id)
        number = store.claim(again.id, processes.dead()).number
        requeue = Store.requeue

        def late(self: Store, job_id: str, number: int, cause: str, message: str) -> bool:
            self.request_cancel(job_id)
            return requeue(self, job_id, number, cause, message)

        monkeypatch.setattr(Store, "requeue", late)
        recovery.recover(store, state)  # no worker holds its lock
        assert store.job(again.id).state == "CANCELLED"
        assert not requeue(store, again.id, number, "worker_died", "x")


@pytest.mark.parametrize("capacity", [Capacity(slots=1), Capacity(tokens=10)])
def test_a_worker_that_claims_late_finds_its_pool_full(state: StateDir, capacity: Capacity) -> None:
    """Its runner was killed after the fork, and the next one has started another job since."""
    with Store.open(state) as store:
        new = NewJob("full", "{}", b"text", "title", weight=6)
        first, late = store.submit_all([new, new], capacity)
        number = store.claim(first.id, identity.mine()).number
        with pytest.raises(IllegalTransition):
            store.claim(late.id, identity.mine())
        store.finish(first.id, number, Outcome.SUCCEEDED, None, None)
        assert store.claim(late.id, identity.mine()).number == 1
