"""A job again: with all that was submitted with it, and without what is done already."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from jobs import clock
from jobs.errors import IllegalTransition
from jobs.model import Capacity, Job, NewJob, Outcome
from jobs.processes import identity
from jobs.store import rerun
from jobs.store.rerun import Retries
from jobs.store.state_dir import StateDir
from jobs.upkeep.garbage import Upkeep

POOL = Capacity(slots=9)
LATER = clock.of(datetime.now(timezone.utc) + timedelta(days=1))
EARLIER = clock.of(datetime.now(timezone.utc) - timedelta(days=1))
NEW = NewJob("pool", "{}", b"text", "title")
KEPT: dict[str, Any] = {
    "pool": "pool",
    "spec": '{"any": ["thing", 1]}',
    "document": b"a document",
    "title": "a title",
    "weight": 7,
    "max_attempts": 5,
    "priority": -3,
    "label": "nightly",
    "not_before": LATER,
    "tellings": (("command", "echo done"), ("named", "me")),
}
"""Field of `NewJob` -> a value other than its default, which a retry has too."""
OF_ITS_OWN = {"submit_key", "parent", "part", "needs", "delay_seconds", "request"}
"""The others: its key names the job that it retries, a part is not retried, `needs` has tests of
its own, a delay counts from the first submit, and the answer to a request over HTTP stays that of
the job that it came with."""


def end(store: Retries, job: Job, outcome: Outcome = Outcome.FAILED) -> Job:
    attempt = store.claim(job.id, identity.mine())
    store.finish(job.id, attempt.number, outcome, None, None)
    return store.job(job.id)


def submit(store: Retries, **values: Any) -> Job:
    return store.submit(dataclasses.replace(NEW, **values), POOL)


def as_submitted(store: Retries, job: Job) -> dict[str, Any]:
    """What of `KEPT` the stored job has."""
    of_rows = {
        "document": store.document(job.document),
        "tellings": store.tellings(job.id),
    }
    return {name: of_rows.get(name, getattr(job, name, None)) for name in KEPT}


def test_each_field_of_a_submit_is_kept_or_has_its_reason() -> None:
    """One that is added to `NewJob` must be added to one of the two."""
    fields = {field.name for field in dataclasses.fields(NewJob)}
    assert fields == KEPT.keys() | OF_ITS_OWN and not KEPT.keys() & OF_ITS_OWN
    assert all(value != getattr(NEW, name) or name == "pool" for name, value in KEPT.items())


def test_all_that_was_submitted_with_a_job_goes_with_its_retry(state: StateDir) -> None:
    with Retries.open(state) as store:
        old = submit(store, **KEPT, submit_key="mine")
        assert as_submitted(store, old) == KEPT
        store.request_cancel(old.id)
        new, is_new = store.retry(old.id)
        assert is_new and new.id != old.id
        assert as_submitted(store, new) == KEPT
        assert rerun.retried(new) == old.id
        assert store.retry(old.id) == (new, False)


def test_a_start_time_that_has_passed_is_dropped(state: StateDir) -> None:
    with Retries.open(state) as store:
        old = end(store, submit(store, not_before=EARLIER))
        assert store.retry(old.id)[0].not_before is None


def test_what_has_not_succeeded_yet_is_still_needed(state: StateDir) -> None:
    """Not what has, nor what was deleted."""
    with Retries.open(state) as store:
        waiting, done, gone = (submit(store) for _ in range(3))
        old = submit(store, needs=(waiting.id, done.id, gone.id))
        store.request_cancel(old.id)
        end(store, done, Outcome.SUCCEEDED)
        end(store, gone, Outcome.SUCCEEDED)
        with Upkeep.open(state) as upkeep:
            upkeep.remove(gone.id)
        assert store.needs(store.retry(old.id)[0].id) == [waiting.id]


def test_of_a_prerequisite_that_failed_its_retry_is_needed(state: StateDir) -> None:
    """The last one; until there is one, the retry is refused, and names what to do."""
    with Retries.open(state) as store:
        needed = submit(store)
        old = submit(store, needs=(needed.id,))
        end(store, needed)
        store.fail_doomed()
        message = store.job(old.id).message or ""
        assert f"ktjob retry {needed.id}, then ktjob retry {old.id}" in message
        with pytest.raises(IllegalTransition, match=rf"ktjob retry {needed.id}\), then"):
            store.retry(old.id)
        again, _ = store.retry(needed.id)
        end(store, again)
        with pytest.raises(IllegalTransition, match=rf"job {again.id}, which ended as FAILED"):
            store.retry(old.id)
        last, _ = store.retry(again.id)
        new, is_new = store.retry(old.id)
        assert is_new and store.needs(new.id) == [last.id]
        assert [job.id for job in store.next_in_line()] == [last.id]
        end(store, last, Outcome.SUCCEEDED)
        assert [job.id for job in store.next_in_line()] == [new.id]


def family(store: Retries, **outcomes: Outcome) -> Job:
    """A failed job with parts that ended so."""
    whole = submit(store)
    attempt = store.claim(whole.id, identity.mine())
    add_parts(store, whole, **outcomes)
    store.finish(whole.id, attempt.number, Outcome.FAILED, None, None)
    return whole


def add_parts(store: Retries, whole: Job, **outcomes: Outcome) -> None:
    for name, outcome in outcomes.items():
        part = submit(store, document=name.encode(), parent=whole.id, part=name)
        if store.job(part.id).outcome is None:
            end(store, part, outcome)


def failed_again(store: Retries, job: Job, **outcomes: Outcome) -> Job:
    """The retry of a job, failed too."""
    new, is_new = store.retry(job.id)
    assert is_new
    attempt = store.claim(new.id, identity.mine())
    add_parts(store, new, **outcomes)
    store.finish(new.id, attempt.number, Outcome.FAILED, None, None)
    return new


def names(store: Retries, job: Job) -> list[str | None]:
    """Of the parts that have succeeded."""
    return sorted(part.part or "" for part in store.parts(job.id) if part.state == "SUCCEEDED")


GOOD, BAD = Outcome.SUCCEEDED, Outcome.FAILED


def test_finished_parts_are_found_through_a_chain_of_retries(state: StateDir) -> None:
    """Also when jobs of it are deleted, from its end or from its middle."""
    with Retries.open(state) as store, Upkeep.open(state) as upkeep:
        first = family(store, a=GOOD, b=BAD, c=BAD)
        second = failed_again(store, first, a=GOOD, b=GOOD, c=BAD)
        third = failed_again(store, second, a=GOOD, b=GOOD, c=BAD)
        assert names(store, third) == ["a", "b"] and not names(store, first)
        assert store.retry(first.id) == (store.job(second.id), False)
        upkeep.remove(second.id)
        assert store.retry(first.id) == (store.job(third.id), False)
        upkeep.remove(third.id)
        assert names(store, first) == ["a", "b"]
        assert names(store, store.retry(first.id)[0]) == ["a", "b"]


def test_a_part_that_has_not_ended_holds_up_a_retry(state: StateDir) -> None:
    """It may yet give its answer, which would be asked for a second time."""
    with Retries.open(state) as store:
        whole = submit(store)
        attempt = store.claim(whole.id, identity.mine())
        part = submit(store, parent=whole.id, part="a")
        running = store.claim(part.id, identity.mine())
        store.finish(whole.id, attempt.number, Outcome.FAILED, None, None)
        with pytest.raises(IllegalTransition, match=rf"ktjob wait {part.id}"):
            store.retry(whole.id)
        store.finish(part.id, running.number, Outcome.SUCCEEDED, None, None)
        assert names(store, store.retry(whole.id)[0]) == ["a"]
