"""Groups in the store: order, numbers, retries that take a place, notifications of the whole."""

from __future__ import annotations

import pytest

from jobs.model import Capacity, Job, NewJob, Outcome
from jobs.processes import identity
from jobs.store.resume import Successions
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.upkeep import garbage

CAPACITY = Capacity(slots=100)
TOLD = (("command", "true"),)


@pytest.fixture
def store(state: StateDir) -> Store:
    with Successions.open(state) as opened:
        yield opened  # type: ignore[misc]


def put(store: Store, count: int, **more: object) -> list[Job]:
    """A group of so many jobs."""
    new = [NewJob("pool", "{}", b"text", f"{number}.txt", **more) for number in range(count)]  # type: ignore[arg-type]
    return store.submit_all(new, CAPACITY, TOLD)


def end(store: Store, job: Job, outcome: Outcome = Outcome.SUCCEEDED) -> None:
    number = store.claim(job.id, identity.mine()).number
    store.finish(job.id, number, outcome, None, None)


def test_jobs_of_one_submit_are_a_group_in_their_order(store: Store) -> None:
    """One whose jobs have not ended is before those that have, the newest first."""
    first, second = put(store, 3), put(store, 2)
    alone = store.submit(NewJob("pool", "{}", b"text", "alone"), CAPACITY)
    group_id = first[0].group_id
    assert group_id is not None and group_id.startswith("g-") and alone.group_id is None
    assert {job.group_id for job in first} == {group_id} != {second[0].group_id}
    assert [job.id for job in store.group(group_id)] == [job.id for job in first]
    assert store.groups_with_prefix(group_id[:6])[0] == group_id
    assert store.groups_with_prefix("g-") == [second[0].group_id, group_id]
    assert store.groups_with_prefix("g-ü") == store.group("g-nothing") == []
    for job in second:
        end(store, job)
    assert [one.id for one in store.groups(9)] == [group_id, second[0].group_id]
    ended = store.group_in_numbers(str(second[0].group_id))
    assert ended is not None and ended.finished_at and (ended.total, ended.succeeded) == (2, 2)
    end(store, first[0], Outcome.FAILED)
    store.claim(first[1].id, identity.mine())
    now = store.group_in_numbers(group_id)
    assert now is not None and now.finished_at is None and now.first == first[0].id
    assert (now.total, now.queued, now.running, now.succeeded, now.cancelled) == (3, 1, 1, 0, 0)
    assert [job.id for job in store.running(9, alone=True)] == []
    assert [job.id for job in store.waiting(9, alone=True)] == [alone.id]
    assert len(store.running(9)) == 1 and len(store.ended(9)) == 3


def test_a_submit_that_is_repeated_makes_no_second_group(store: Store) -> None:
    """By its keys: the group stays as it is."""
    new = [NewJob("pool", "{}", b"text", name, submit_key=name) for name in ("a", "b")]
    first = store.submit_all(new, CAPACITY, TOLD)
    again = store.submit_all(new, CAPACITY, TOLD)
    assert [job.id for job in again] == [job.id for job in first]
    assert len(store.groups(9)) == 1
    assert len(store._all("due_tellings", now="9999", latest="9999", limit=9)) == 0


def test_a_retry_takes_the_place_of_the_job_that_it_retries(store: Store) -> None:
    """And is not notified of again; what was submitted with the old one is."""
    assert isinstance(store, Successions)
    jobs = put(store, 3)
    group_id = str(jobs[0].group_id)
    for job, outcome in zip(jobs, (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.LOST), strict=True):
        end(store, job, outcome)
    new, is_new = store.retry(jobs[1].id)
    assert is_new and store.job(new.id).group_id == group_id
    assert store.job(jobs[1].id).group_id is None
    assert [job.id for job in store.group(group_id)] == [jobs[0].id, new.id, jobs[2].id]
    assert store.tellings(new.id) == ()


@pytest.mark.promise
def test_a_group_is_notified_of_once_when_its_last_job_has_ended(
    store: Store, state: StateDir
) -> None:
    """Whichever ends last, and although the job that carried the notification was deleted."""
    jobs = put(store, 3)
    for job in jobs[:2]:
        end(store, job, Outcome.FAILED)
        assert store.due_tellings(9) == [] and not store.owes_tellings()
    garbage.delete_job(state, jobs[0].id)
    garbage.delete_job(state, jobs[1].id)
    store.request_cancel(jobs[2].id)
    (due,) = store.due_tellings(9)
    assert due.job_id == jobs[2].id and due.group_id == jobs[2].group_id
    assert store.begin_telling(due)
    store.end_telling(due, None)
    assert not store.owes_tellings()
    garbage.delete_job(state, jobs[2].id)
    assert store.groups(9) == []


def test_a_group_that_is_retried_is_notified_of_again(store: Store) -> None:
    """Once when the retries have ended, also if the first one was due and had not begun."""
    assert isinstance(store, Successions)
    jobs = put(store, 2)
    for job in jobs:
        end(store, job, Outcome.FAILED)
    first, _ = store.retry(jobs[0].id)
    assert store.due_tellings(9) == [] and not store.owes_tellings()
    end(store, store.job(first.id), Outcome.FAILED)
    (due,) = store.due_tellings(9)
    assert store.begin_telling(due)
    store.end_telling(due, None)
    again = [store.retry(job_id)[0] for job_id in (first.id, jobs[1].id)]
    assert not store.owes_tellings()
    for job in again:
        assert store.due_tellings(9) == []
        end(store, store.job(job.id))
    (last,) = store.due_tellings(9)
    assert last.seq != due.seq and last.group_id == jobs[0].group_id
    assert store.begin_telling(last)
    store.end_telling(last, None)
    assert not store.owes_tellings()


@pytest.mark.parametrize("count", [1, 2])
def test_a_notification_of_one_job_is_its_own(store: Store, count: int) -> None:
    """Beside a group too."""
    new = [NewJob("pool", "{}", b"text", str(number), tellings=TOLD) for number in range(count)]
    jobs = store.submit_all(new, CAPACITY)
    end(store, jobs[0])
    (due,) = store.due_tellings(9)
    assert due.job_id == jobs[0].id and due.group_id is None
