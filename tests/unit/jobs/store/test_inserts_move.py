"""A running job moves to another pool only if it could have been claimed there, in its turn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.model import Capacity, Job, NewJob, Outcome
from jobs.processes import identity
from jobs.store.control import Control
from jobs.store.state_dir import StateDir

ROOM = Capacity(tokens=100, slots=2)


def new(store: Control, pool: str, weight: int = 40, **values: object) -> Job:
    job = NewJob(pool, "{}", b"text", "title", weight=weight)
    return store.submit(replace(job, **values), ROOM)  # type: ignore[arg-type]


def running(store: Control, pool: str, weight: int = 40, **values: object) -> Job:
    job = new(store, pool, weight, **values)
    store.claim(job.id, identity.mine())
    return store.job(job.id)


def test_it_moves_with_its_attempt_and_says_so(state: StateDir) -> None:
    with Control.open(state) as store:
        job = running(store, "dead")
        assert store.move(job, "alive", '{"server": "alive"}', ROOM)
        moved = store.job(job.id)
        assert (moved.pool, moved.spec, moved.attempt) == ("alive", '{"server": "alive"}', 1)
        last = store.events(job.id)[-1]
        assert (last.kind, last.data) == ("moved", {"from": "dead", "to": "alive"})
        assert store.capacities()["alive"] == ROOM
        assert not store.move(job, "other", "{}", ROOM)  # it is not as it was read any more


def test_it_needs_room(state: StateDir) -> None:
    """Of tokens and of slots; in an empty pool whatever it weighs."""
    with Control.open(state) as store:
        job, heavy = running(store, "dead", 61), running(store, "dead", 30)
        first = running(store, "alive", 40)
        assert not store.move(job, "alive", "{}", ROOM)
        assert store.move(heavy, "alive", "{}", ROOM)
        store.finish(heavy.id, 1, Outcome.SUCCEEDED, None, None)
        assert not store.move(job, "alive", "{}", Capacity(tokens=1000, slots=1))
        store.finish(first.id, 1, Outcome.SUCCEEDED, None, None)
        assert store.move(job, "alive", "{}", Capacity(tokens=10, slots=1))


def test_it_passes_no_job_that_waits_there_before_it(state: StateDir) -> None:
    with Control.open(state) as store:
        elder = new(store, "alive")
        job = running(store, "dead")
        new(store, "alive")  # a younger one
        assert not store.move(job, "alive", "{}", ROOM)
        store.hold([elder.id], lambda one: False)
        assert store.move(job, "alive", "{}", ROOM)
        again = running(store, "dead")
        store.finish(job.id, 1, Outcome.SUCCEEDED, None, None)
        new(store, "alive", priority=1)
        assert not store.move(again, "alive", "{}", ROOM)


@pytest.mark.parametrize("pool", ["alive", None])
def test_it_moves_into_no_pause_and_not_when_it_is_cancelled(
    state: StateDir, pool: str | None
) -> None:
    with Control.open(state) as store:
        job = running(store, "dead")
        store.pause(pool)
        assert not store.move(job, "alive", "{}", ROOM)
        store.resume(pool)
        store.request_cancel(job.id)
        assert not store.move(job, "alive", "{}", ROOM)
        assert store.job(job.id).pool == "dead"


def test_a_pool_for_which_none_waits_gets_the_first_that_may_have_it(state: StateDir) -> None:
    """Not one that began, is held, has its document read where it is, or has no spec for it."""
    warm = replace(ROOM, affinity=True)
    with Control.open(state) as store:
        over = running(store, "free")
        store.finish(over.id, 1, Outcome.SUCCEEDED, None, None)
        running(store, "full", document=b"read")
        store.submit(NewJob("full", "{}", b"read", "same document", weight=40), warm)
        held = new(store, "full")
        store.hold([held.id], lambda one: False)
        no_spec, first, second = (new(store, "full", spec=spec) for spec in ("0", "1", "2"))

        def spec_for(job: Job) -> str | None:
            return None if job.spec == "0" else f"{job.spec} here"

        store.submit(NewJob("full", "{}", b"read", "sets the affinity", weight=40), warm)
        store.pause("free")
        assert store.hand_over("free", spec_for) is None
        store.resume("free")
        taken = store.hand_over("free", spec_for)
        assert taken == first
        now = store.job(first.id)
        assert (now.pool, now.spec, now.attempt) == ("free", "1 here", 0)
        assert store.hand_over("free", spec_for) is None  # one waits there now
        assert store.job(second.id).pool == store.job(no_spec.id).pool == "full"
