"""Capacity, priority and notes as the store keeps them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from jobs.errors import IllegalTransition
from jobs.model import Capacity, NewJob, Outcome, Warmth
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

V1 = Path(__file__).parents[3] / "data" / "databases" / "v1.db.gz"


def new(title: str, weight: int = 1, priority: int = 0, document: bytes = b"text") -> NewJob:
    return NewJob("pool", "{}", document, title, weight=weight, priority=priority)


@pytest.mark.parametrize("capacity", [Capacity(tokens=10), Capacity(slots=1), Capacity(20, 1)])
def test_a_late_claim_keeps_to_tokens_and_to_slots(state: StateDir, capacity: Capacity) -> None:
    """Whichever runs out; and a job alone is always taken, however heavy."""
    with Store.open(state) as store:
        heavy, light = (store.submit(new("j", weight), capacity) for weight in (30, 1))
        assert store.capacities() == {"pool": capacity}
        store.claim(heavy.id, identity.mine())
        with pytest.raises(IllegalTransition):
            store.claim(light.id, identity.mine())
        store.submit(new("later"), Capacity())  # no limit is known any more
        store.claim(light.id, identity.mine())


def test_the_line_respects_priority_beyond_its_hundred(state: StateDir) -> None:
    """However many wait before it."""
    with Store.open(state) as store:
        for _ in range(101):
            store.submit(new("old"), Capacity(slots=1))
        urgent = store.submit(new("urgent", priority=1), Capacity(slots=1))
        line = store.next_in_line()
        assert line[0].id == urgent.id and len(line) == 100
        assert [job.seq for job in line[1:]] == sorted(job.seq for job in line[1:])


def test_the_line_shows_who_waits_for_a_warm_document(state: StateDir) -> None:
    """Also beyond the hundred, and the oldest with it."""
    capacity = Capacity(affinity=True)
    with Store.open(state) as store:
        first = store.submit(new("first", document=b"warm"), capacity)
        assert store.warmth() == {}
        oldest = store.submit(new("oldest"), capacity)
        for _ in range(120):
            store.submit(new("old"), capacity)
        next_one = store.submit(new("next", document=b"warm"), capacity)
        store.claim(first.id, identity.mine())
        store.finish(first.id, 1, Outcome.SUCCEEDED, None, None)
        ids = [job.id for job in store.next_in_line()]
        assert {oldest.id, next_one.id} <= set(ids)
        assert store.warmth() == {"pool": Warmth(first.document, 0, first.spec)}
        store.claim(next_one.id, identity.mine())
        assert store.warmth() == {"pool": Warmth(first.document, 1, next_one.spec)}


def test_pools_of_schema_1_were_counted_in_jobs(state: StateDir) -> None:
    """What was their capacity limits the number of jobs."""
    state.database.write_bytes(gzip.decompress(V1.read_bytes()))
    with Store.open(state) as store:
        assert all(one.slots == one.tokens == 1 for one in store.capacities().values())
        assert all(job.priority == 0 for job in store.newest(10))


def test_what_was_learned_of_a_server_is_recalled(state: StateDir) -> None:
    """The last of each name, for each pool."""
    with Store.open(state) as store:
        assert store.recall("pool", "prefill") is None
        store.remember("pool", "prefill", {"a": 1})
        store.remember("pool", "prefill", {"a": 0.5, "文": None})
        store.remember("other", "prefill", {"a": 3})
    with Store.open(state) as store:
        assert store.recall("pool", "prefill") == {"a": 0.5, "文": None}
        assert store.recall("pool", "decode") is None
