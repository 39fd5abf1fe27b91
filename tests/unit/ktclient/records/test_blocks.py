"""What keeps a job from starting, in words, with the command that ends it."""

from __future__ import annotations

from dataclasses import replace

from jobs.model import Capacity, NewJob, Status
from jobs.processes import identity
from jobs.store.control import Control
from jobs.store.state_dir import StateDir
from ktclient.records import blocks

SPEC = '{"server": "http://gpu1"}'
NEW = NewJob("http://gpu1", SPEC, b"text", "title")


def test_a_hold_is_said_before_a_pause_and_the_queue_before_a_server(state: StateDir) -> None:
    """The narrowest that the reader did, then what ends the most."""
    with Control.open(state) as store:
        held, waiting, whole, other = (
            store.submit(one, Capacity(slots=9))
            for one in (
                NEW,
                NEW,
                replace(NEW, pool="conducting"),
                replace(NEW, pool="b", spec='{"server": "b"}'),
            )
        )
        store.hold([held.id], lambda job: False)
        store.pause("http://gpu1")
        jobs = [store.job(one.id) for one in (held, waiting, whole, other)]
        found = blocks.of_jobs(store, jobs)
        assert {key: one.kind for key, one in found.items()} == {
            held.id: "held",
            waiting.id: "server",
            whole.id: "server",
        }
        assert found[held.id].command == f"ktjob release {held.id}"
        assert found[waiting.id].command == "ktjob resume --server http://gpu1"
        store.pause(None)
        found = blocks.of_jobs(store, jobs)
        assert [found[one.id].kind for one in jobs] == ["held", "queue", "queue", "queue"]
        assert str(found[other.id]).endswith("to start it: ktjob resume")
        words = [blocks.word_of(store, one) for one in jobs]
        assert words == ["held", "paused", "paused", "paused"]
        store.resume_all()
        assert list(blocks.of_jobs(store, jobs)) == [held.id]


def test_what_runs_or_has_ended_is_not_blocked(state: StateDir) -> None:
    """A pause does not touch it."""
    with Control.open(state) as store:
        running, ended = (store.submit(NEW, Capacity(slots=9)) for _ in range(2))
        store.claim(running.id, identity.mine())
        store.hold([ended.id], lambda job: False)
        store.request_cancel(ended.id)
        store.pause(None)
        jobs = [store.job(one.id) for one in (running, ended)]
        assert [one.status for one in jobs] == [Status.RUNNING, Status.FINISHED]
        assert blocks.of_jobs(store, jobs) == {}
        assert blocks.of_attempt([]) == "it is paused"
        assert "the queue is paused" in blocks.of_attempt(store.pauses_of(running.id))


def test_many_reasons_are_said_in_short() -> None:
    """A group of 30 held jobs has 30 of them."""
    assert blocks.in_short([None, None]) == ""
    assert blocks.in_short(["a", None, "a", "b"]) == "a; b"
    assert blocks.in_short("abc") == "a; and 2 more (ktjob status)"
