"""The lists of the page: bounded, in order, and each key's own."""

from __future__ import annotations

import pytest
from support.page_jobs import SERVER, put, put_group

from jobs.model import Outcome
from jobs.processes import identity
from jobs.store.control import Control
from jobs.store.http.store import HttpStore
from jobs.store.rerun import Retries
from jobs.store.state_dir import StateDir
from ktclient.gateway.context import Caller
from ktclient.gateway.page import groups, queue
from ktclient.gateway.page.queue import Queue
from ktclient.gateway.wire.errors import ApiError
from ktclient.records import overview


def test_a_long_queue_is_bounded_and_counted(state: StateDir) -> None:
    """Whatever there is: a page gets so many rows, the numbers, and each one's place."""
    with HttpStore.open(state) as store:
        jobs = put(store, *map(str, range(300)))
        for job in jobs[:130]:
            store.claim(job.id, identity.mine())
            store.finish(job.id, 1, Outcome.SUCCEEDED, None, None)
        store.claim(jobs[130].id, identity.mine())
        found = queue.read(store, None)
    assert len(found.jobs) == queue.ROWS
    assert found.counts == {"running": 1, "queued": 169, "recent": 130}
    assert found.order["running"] == [jobs[130].id]
    assert found.order["queued"][:2] == [jobs[131].id, jobs[132].id]
    assert found.order["recent"][0] == jobs[129].id
    second = found.jobs[jobs[132].id]
    assert (second["place"], second["wait"]) == (2, "behind 2 jobs")
    assert found.servers == {SERVER}


def test_a_key_sees_its_own_jobs_and_how_many_are_before_them(state: StateDir) -> None:
    """Of jobs of others it learns how many, and nothing else; an admin sees all of them."""
    with HttpStore.open(state) as store:
        (running,) = put(store, "secret of bob", owner="bob")
        (by_hand,) = put(store, "of the command line")
        (mine,) = put(store, "mine", owner="ada")
        (ended,) = put(store, "also mine", owner="ada")
        (deleted,) = put(store, "deleted", owner="ada")
        store.claim(running.id, identity.mine())
        for job in (ended, deleted):
            store.claim(job.id, identity.mine())
            store.finish(job.id, 1, Outcome.SUCCEEDED, None, None)
        store.note_deleted(deleted.id)
        found, everything = queue.read(store, "ada"), queue.read(store, None)
        older = queue.older(store, "ada", 0, 50)
    assert set(found.jobs) == {mine.id, ended.id}
    assert found.counts == {"running": 0, "queued": 1, "recent": 1}
    assert found.jobs[mine.id]["place"] == 2
    assert found.jobs[mine.id]["wait"] == "behind 2 jobs"
    assert "secret" not in str(found) and running.id not in str(found)
    assert set(everything.jobs) == {running.id, by_hand.id, mine.id, ended.id}
    assert [one["id"] for one in older] == [ended.id]


def test_a_job_that_is_retried_belongs_to_who_retried_it(state: StateDir) -> None:
    """One that has an owner keeps it."""
    with HttpStore.open(state) as store:
        (by_hand,), (mine,) = put(store, "by hand"), put(store, "mine", owner="ada")
        for job in (by_hand, mine):
            store.give(job.id, "bob")
        assert set(queue.read(store, "bob").jobs) == {by_hand.id}


def test_a_group_is_one_line_of_the_jobs_that_are_seen(state: StateDir) -> None:
    """To a key it is what that key has in it; its retry keeps its place and its owner."""
    with HttpStore.open(state) as store:
        ours = put_group(store, "one", "two", "three", owner="ada")
        group = ours[0].group_id
        assert group is not None
        alone, _ = put(store, "alone", owner="ada")[0], put_group(store, "x", "y", owner="bob")
        store.claim(ours[0].id, identity.mine())
        store.finish(ours[0].id, 1, Outcome.FAILED, "server_died", "it died")
        found, everything = queue.read(store, "ada"), queue.read(store, None)
        shown = groups.members(store, Caller("ada", is_admin=False), group)
        with pytest.raises(ApiError):
            groups.members(store, Caller("bob", is_admin=False), group)
    assert found.order == {"running": [], "queued": [group, alone.id], "recent": []}
    line = found.jobs[group]
    assert (line["done"], line["total"], line["is_group"]) == (1, 3, True)
    assert "1 of 3 done, 1 failed" in str(line["tally"])
    assert len(everything.order["queued"]) == 3 and "bob" not in str(found)
    assert list(shown.jobs) == [job.id for job in ours]
    assert shown.group["can"] == {
        "cancel": True,
        "retry": True,
        "hold": True,
        "release": False,
        "export": True,
    }
    with Retries.open(state) as retries:
        new, _ = retries.retry(ours[0].id)
    with HttpStore.open(state) as store:
        again = groups.members(store, Caller("ada", is_admin=False), group)
        store.note_deleted(ours[1].id)
        left = groups.members(store, Caller("ada", is_admin=False), group)
    assert list(again.jobs) == [new.id, ours[1].id, ours[2].id]
    assert list(left.jobs) == [new.id, ours[2].id] and left.group["total"] == 2


def test_a_group_that_cannot_start_says_so_and_no_time_left(state: StateDir) -> None:
    """As `ktjob status` does, whether its jobs are held or the queue is paused."""
    with HttpStore.open(state) as store:
        jobs = put_group(store, "one", "two", "three", owner="ada")
        store.claim(jobs[0].id, identity.mine())
        store.finish(jobs[0].id, 1, Outcome.SUCCEEDED, None, None)
        open_line = queue.read(store, "ada").jobs[str(jobs[0].group_id)]
    with Control.open(state) as control:
        control.hold([job.id for job in jobs[1:]], lambda _: False)
    with HttpStore.open(state) as store:
        held = queue.read(store, "ada").jobs[str(jobs[0].group_id)]
        told = overview.read_grouped(store, 20).jobs[0]
    with Control.open(state) as control:
        control.release([job.id for job in jobs[1:]])
        control.pause(None)
    with HttpStore.open(state) as store:
        paused = queue.read(store, "ada").jobs[str(jobs[0].group_id)]
    assert open_line["eta_seconds"] is not None and open_line["blocked_by"] is None
    assert (held["eta_seconds"], held["blocked_by"], paused["eta_seconds"]) == (None, "held", None)
    assert "1 of 3 done, 2 held" in str(held["tally"]) and paused["blocked_by"] == "queue"
    assert held["blocked"] == told.blocked and "ktjob release g-" in str(told.blocked)


def test_only_what_changed_is_sent(state: StateDir) -> None:
    """First all of it; then the order, and the jobs that are not as they were."""
    with HttpStore.open(state) as store:
        one, other = put(store, "one", "other")
        before = queue.read(store, None)
        store.claim(one.id, identity.mine())
        now = queue.read(store, None)
    first = queue.changes(Queue(), before)
    assert set(first["jobs"]) == {one.id, other.id}  # type: ignore[call-overload]
    later = queue.changes(before, now)
    assert later["order"] == {"running": [one.id], "queued": [other.id], "recent": []}
    assert queue.changes(now, now)["jobs"] == {}
