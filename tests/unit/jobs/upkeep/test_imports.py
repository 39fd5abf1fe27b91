"""Ended jobs of another store: their ids, groups and documents here, and that none is changed."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest

from jobs.model import Capacity, NewJob, Outcome, Status
from jobs.store.http.store import HttpStore
from jobs.store.http.sums import RecentTimes
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.upkeep import garbage
from jobs.upkeep.imports import EndedJob, Imports

TEXT = b"A story."
ONE = EndedJob(
    id="k7m2p9qx",
    origin="k7m2p9qx",
    server="http://gpu1:30000",
    title="a.txt",
    spec='{"server": "http://gpu1:30000", "task": {}}',
    sha256=hashlib.sha256(TEXT).hexdigest(),
    document=TEXT,
    outcome=Outcome.SUCCEEDED,
    cause=None,
    message=None,
    attempt=2,
    max_attempts=2,
    label="nightly",
    group_id=None,
    created_at="2020-11-30T08:00:00.000Z",
    started_at="2020-11-30T08:00:01.000Z",
    finished_at="2020-11-30T08:00:04.000Z",
    figures={"prompt_tokens": 9},
    output=(("reasoning", "Hm."), ("answer", "It rained.")),
)


@pytest.fixture
def store(state: StateDir) -> Iterator[Imports]:
    with Imports.open(state) as opened:
        yield opened


def test_a_job_is_as_it_was_and_never_runs(store: Imports, state: StateDir) -> None:
    """With its output and figures, in a pool that no other job is in."""
    (stored,) = store.add([ONE])
    job = store.job(stored.id)
    assert (stored.id, stored.is_new) == (ONE.id, True)
    assert (job.status, job.outcome, job.attempt) == (Status.FINISHED, Outcome.SUCCEEDED, 2)
    assert (job.created_at, job.finished_at) == (ONE.created_at, ONE.finished_at)
    assert [(one.channel, one.text) for one in store.pieces(job.id, 2)] == list(ONE.output)
    attempt = store.attempt(job)
    assert attempt is not None and attempt.figures == ONE.figures
    assert store.document(job.document) == TEXT
    assert job.pool != ONE.server and ONE.server in job.pool
    assert store.next_in_line() == [] and store.add([ONE])[0].is_new is False
    with HttpStore.open(state) as http:
        assert http.pool_loads() == http.tokens() == []
        assert http.recent_times() == RecentTimes((), ())
    with garbage.Upkeep.open(state) as upkeep:
        assert upkeep.problems() == []
        assert upkeep.finished_before(3600.0) == []  # it is as old as its import
        assert upkeep.finished_before(-3600.0) == [job.id]


def test_an_id_that_another_job_has_is_left_to_it(store: Imports) -> None:
    """The job that is here is not changed, and a second import finds the first."""
    here = store.submit(NewJob("pool", "{}", b"other", "b.txt"), Capacity())
    other = replace(ONE, id=here.id, origin=here.id)
    (stored,) = store.add([other])
    assert stored.is_new and stored.id != here.id == stored.was
    assert store.job(here.id) == here
    assert store.add([other])[0].id == stored.id and len(store.newest(9)) == 2


def test_what_ran_here_is_not_stored_again(store: Imports) -> None:
    """Also where it comes back from a machine that gave it another id."""
    here = store.submit(NewJob("pool", "{}", TEXT, "a.txt"), Capacity())
    ended = store.request_cancel(here.id)
    back = replace(
        ONE,
        id="a2345678",
        origin=here.id,
        created_at=ended.created_at,
        finished_at=str(ended.finished_at),
    )
    assert [(one.id, one.is_new) for one in store.add([back])] == [(here.id, False)]
    assert store.newest(9) == [ended]


def test_a_group_stays_one_and_joins_none_of_this_store(store: Imports) -> None:
    """In its order; one of the same id that is here gets no more members."""
    names = ("a2345678", "b2345678", "c2345678")
    group = [replace(ONE, id=name, origin=name, group_id="g-abcdef") for name in names]
    store.add(group[:2])
    store.add(group)
    assert [job.id for job in store.group("g-abcdef")] == list(names)
    (mine,) = store.submit_all([NewJob("pool", "{}", b"x", "x.txt")], Capacity(), ())
    clash = replace(ONE, id="d2345678", origin="d2345678", group_id=mine.group_id)
    store.add([clash])
    assert [job.id for job in store.group(str(mine.group_id))] == [mine.id]
    assert store.job("d2345678").group_id not in (None, mine.group_id, "g-abcdef")


def test_all_are_stored_or_none(store: Imports) -> None:
    """The second of these violates a rule of the database."""
    with pytest.raises(sqlite3.IntegrityError):
        store.add([ONE, replace(ONE, id="a2345678", origin="a2345678", max_attempts=0)])
    assert store.newest(9) == [] and not store.exists(ONE.id)


def test_a_document_that_did_not_come_is_found_here_or_empty(store: Imports) -> None:
    """An empty text is never stored under the digest of another one."""
    without = replace(ONE, document=None)
    store.add([without])
    assert store.document(store.job(ONE.id).document) == b"" != TEXT
    store.submit(NewJob("pool", "{}", TEXT, "a.txt"), Capacity())
    second = replace(without, id="a2345678", origin="a2345678")
    store.add([second])
    assert store.job("a2345678").document == ONE.sha256


def test_a_document_that_comes_later_is_added(store: Imports, state: StateDir) -> None:
    """Once; and to no job that ran here."""
    store.add([replace(ONE, document=None)])
    before = store.job(ONE.id)
    (now,) = store.add([ONE])
    assert (now.is_new, now.is_completed) == (False, True)
    assert store.job(ONE.id) == replace(before, document=ONE.sha256)
    assert store.document(ONE.sha256) == TEXT
    assert store.add([ONE])[0].is_completed is False
    with garbage.Upkeep.open(state) as upkeep:
        assert upkeep.problems() == []


def test_a_job_that_never_began_has_no_attempt(store: Imports) -> None:
    """It was cancelled while it waited; gc by size deletes it like any other."""
    store.add([replace(ONE, outcome=Outcome.CANCELLED, attempt=0, started_at=None, output=())])
    job = store.job(ONE.id)
    assert store.attempts(job.id) == [] and job.state == "CANCELLED"
    with garbage.Upkeep.open(store.state) as upkeep:
        assert upkeep.to_fit(0) == [job.id]
        upkeep.remove(job.id)
    with Store.open(store.state) as after:
        assert after.newest(9) == []
