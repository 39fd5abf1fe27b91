"""Pauses, holds, priorities and edits: each before a claim or after it, and never in between."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from jobs.errors import IllegalTransition, NoSuchJob
from jobs.model import Capacity, Job, NewJob, Outcome, Pause
from jobs.processes import identity
from jobs.store.control import HIGHEST, Control, Replacement
from jobs.store.state_dir import StateDir

pytestmark = pytest.mark.each_python

ROOM = Capacity(slots=99)
NEW = NewJob("gpu", '{"server": "gpu"}', b"text", "title")


def conducts(job: Job) -> bool:
    return job.pool == "conducting"


def new(store: Control, **values: object) -> Job:
    return store.submit(replace(NEW, **values), ROOM)  # type: ignore[arg-type]


def kinds(store: Control, job: Job) -> list[str]:
    return [event.kind for event in store.events(job.id)]


def in_line(store: Control) -> list[str]:
    return [job.id for job in store.next_in_line()]


def claims(store: Control, job: Job) -> bool:
    try:
        store.claim(job.id, identity.mine())
    except IllegalTransition:
        return False
    return True


def family(store: Control) -> tuple[Job, Job, Job]:
    """A job that conducts, running, with a part that runs and one that waits."""
    whole = new(store, pool="conducting")
    assert claims(store, whole)
    parts = [new(store, parent=whole.id, part=name) for name in "12"]
    assert claims(store, parts[0])
    return store.job(whole.id), store.job(parts[0].id), store.job(parts[1].id)


@pytest.mark.parametrize("pool", [None, "gpu"])
def test_nothing_of_a_paused_pool_starts_and_what_runs_continues(
    state: StateDir, pool: str | None
) -> None:
    """Neither by the runner's list nor by the claim of a worker that was started before."""
    with Control.open(state) as store:
        running, waiting = new(store), new(store)
        other = new(store, pool="other", spec="{}")
        assert claims(store, running)
        assert store.pause(pool) and not store.pause(pool)
        assert store.pauses() == [Pause(pool, store.pauses()[0].since)]
        late = new(store)
        assert not claims(store, waiting) and not claims(store, late)
        assert in_line(store) == ([] if pool is None else [other.id])
        assert claims(store, other) is (pool is not None)
        store.finish(running.id, 1, Outcome.SUCCEEDED, None, None)
    with Control.open(state) as store:  # another process: a pause is in the store
        assert store.pauses_of(waiting.id) and store.job(waiting.id).attempt == 0
        assert store.resume(pool) and not store.resume(pool)
        assert waiting.id in in_line(store) and claims(store, waiting) and claims(store, late)
        assert kinds(store, waiting) == ["submitted", "paused", "resumed", "claimed"]
        assert kinds(store, late) == ["submitted", "paused", "resumed", "claimed"]
        assert kinds(store, running) == ["submitted", "claimed", "finished"]


def test_a_job_that_conducts_is_paused_with_the_server_of_its_parts(state: StateDir) -> None:
    """It waits in a pool of its own; its spec names the server. A spec that is no JSON is none."""
    with Control.open(state) as store:
        whole, odd = new(store, pool="conducting"), new(store, pool="odd", spec="")
        store.pause("gpu")
        assert in_line(store) == [odd.id] and not claims(store, whole) and claims(store, odd)
        assert [one.pool for one in store.pauses_of(whole.id)] == ["gpu"]
        store.pause(None)
        assert [one.pool for one in store.pauses_of(whole.id)] == [None, "gpu"]
        assert store.resume_all() == [None, "gpu"] and store.pauses() == []
        assert claims(store, whole)


def test_a_held_job_waits_and_the_others_pass(state: StateDir) -> None:
    """Once held, held again is nothing new; one that ended or runs is refused, others are not."""
    with Control.open(state) as store:
        held, other, running, ended = (new(store) for _ in range(4))
        assert claims(store, running)
        store.request_cancel(ended.id)
        refused = store.hold([held.id, running.id, ended.id, held.id], conducts)
        assert sorted(refused) == sorted([running.id, ended.id])
        assert "never paid twice" in refused[running.id] and "CANCELLED" in refused[ended.id]
        assert store.job(held.id).held_at and store.job(running.id).held_at is None
        assert in_line(store) == [other.id] and not claims(store, held)
        with pytest.raises(NoSuchJob):
            store.release([held.id, "nosuchjob"])
        assert store.job(held.id).held_at, "all or nothing"
        assert list(store.release([held.id, ended.id])) == [ended.id]
        assert kinds(store, held) == ["submitted", "held", "released"]
        assert claims(store, held)


def test_the_parts_that_wait_are_held_with_their_whole_and_new_ones_too(state: StateDir) -> None:
    """What runs of it continues; what would be its second attempt waits."""
    with Control.open(state) as store:
        whole, running, waiting = family(store)
        assert store.hold([whole.id], conducts) == {}
        later = new(store, parent=whole.id, part="3")
        assert later.held_at and in_line(store) == []
        assert not claims(store, waiting) and not claims(store, later)
        assert store.is_open_for(running.id), "else it would keep the room of others"
        assert store.release([whole.id]) == {}
        assert in_line(store) == [waiting.id, later.id]
        assert all(claims(store, job) for job in (waiting, later))


def test_a_priority_reaches_the_parts_and_the_first_is_first(state: StateDir) -> None:
    """One that runs keeps what it has; several that are put first keep their order."""
    with Control.open(state) as store:
        whole, running, waiting = family(store)
        a, b, c = new(store), new(store, priority=7), new(store)
        assert store.prioritize([whole.id, a.id], -4, conducts) == {}
        later = new(store, parent=whole.id, part="3", priority=99)
        for one in (whole, running, waiting, later, a):
            assert store.job(one.id).priority == -4
        assert store.prioritize([c.id, a.id], None, conducts) == {}
        assert in_line(store) == [c.id, a.id, b.id, waiting.id, later.id]
        assert store.events(a.id)[-1].data == {"from": -4, "to": 8}
        assert claims(store, b) and list(store.prioritize([b.id], 1, conducts)) == [b.id]
        store.prioritize([a.id], HIGHEST, conducts)
        assert "Lower that one" in store.prioritize([c.id], None, conducts)[c.id]


def test_an_edit_replaces_all_that_was_submitted_or_nothing(state: StateDir) -> None:
    """Refused with the reason for a job that is not as it was looked at."""
    with Control.open(state) as store:
        job = new(store)
        wanted = replace(
            NEW, pool="other", spec='{"server": "other"}', weight=7, label="x", max_attempts=2
        )
        known = {"other": Capacity(tokens=5)}
        one = Replacement(job, wanted, known, {"server": ["gpu", "other"]})
        (edited,) = store.change([one])
        assert (edited.pool, edited.weight, edited.label) == ("other", 7, "x")
        assert edited.document == job.document and store.capacities()["other"].tokens == 5
        assert store.events(job.id)[-1].kind == "edited"
        with pytest.raises(IllegalTransition, match="changed by another command"):
            store.change([Replacement(job, NEW, {"other": Capacity(tokens=9)}, {})])
        assert store.capacities()["other"].tokens == 5, "a refusal changes nothing"
        assert claims(store, edited)
        for _ in range(2):
            with pytest.raises(IllegalTransition, match=r"ktjob rerun|ktjob cancel"):
                store.change([Replacement(edited, NEW, {}, {})])
            store.requeue(job.id, 1, "worker_died", "killed")
        assert store.job(job.id).attempt == 1
        store.request_cancel(job.id)
        with pytest.raises(IllegalTransition, match="has ended"):
            store.change([Replacement(edited, NEW, {}, {})])
        part = family(store)[2]
        with pytest.raises(IllegalTransition, match="a part of"):
            store.change([Replacement(part, NEW, {}, {})])


def test_several_are_edited_or_none_is(state: StateDir) -> None:
    """One that has begun keeps all as they were, whatever its place."""
    with Control.open(state) as store:
        first, begun, last = (new(store) for _ in range(3))
        changed = replace(NEW, label="x")
        assert claims(store, begun)
        with pytest.raises(IllegalTransition, match=f"job {begun.id} has started"):
            store.change([Replacement(job, changed, {}, {}) for job in (first, begun, last)])
        assert {store.job(job.id).label for job in (first, last)} == {NEW.label}
        assert kinds(store, first) == ["submitted"]
        done = store.change([Replacement(job, changed, {}, {}) for job in (first, last)])
        assert [job.label for job in done] == ["x", "x"]


@contextlib.contextmanager
def race(state: StateDir, ids: Sequence[str]) -> Iterator[None]:
    """Meanwhile another connection claims these jobs, one after another, as fast as it can."""
    gate = threading.Barrier(2)

    def claim_all() -> None:
        with Control.open(state) as store:
            gate.wait()
            for job_id in ids:
                with contextlib.suppress(IllegalTransition):
                    store.claim(job_id, identity.mine())

    other = threading.Thread(target=claim_all)
    other.start()
    gate.wait()
    try:
        yield
    finally:
        other.join()


def test_a_pause_that_races_claims_comes_before_or_after_each(state: StateDir) -> None:
    """Of forty jobs that another process claims as fast as it can: once the pause has returned, not
    one more is running."""
    with Control.open(state) as store:
        ids = [new(store).id for _ in range(40)]
        with race(state, ids):
            store.pause(None)
            begun = [store.job(one).attempt for one in ids]
        assert [store.job(one).attempt for one in ids] == begun


def test_an_edit_that_races_a_claim_holds_for_the_request_or_is_refused(state: StateDir) -> None:
    """Whichever comes first: an accepted edit is what every later reader of the job sees, and a
    refused one has changed nothing, for forty jobs that are claimed meanwhile."""
    with Control.open(state) as store:
        jobs = [new(store) for _ in range(40)]
        accepted: set[str] = set()
        with race(state, [job.id for job in jobs]):
            for job in reversed(jobs):
                spec = f'{{"asks": "{job.id}"}}'
                try:
                    store.change([Replacement(job, replace(NEW, spec=spec), {}, {})])
                    accepted.add(job.id)
                except IllegalTransition as error:
                    assert "has started" in str(error)
        for job in jobs:
            kind_of, now = kinds(store, job), store.job(job.id)
            if job.id in accepted:
                assert job.id in now.spec
                assert kind_of in (["submitted", "edited", "claimed"], ["submitted", "edited"])
            else:
                assert now.spec == job.spec and kind_of == ["submitted", "claimed"]
