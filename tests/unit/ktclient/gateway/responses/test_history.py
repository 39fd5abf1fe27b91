"""What was read of a job bit by bit is what a later stream reads from the beginning."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.errors import NoSuchJob
from jobs.model import Capacity, Identity, Job, NewJob, NewRequest, Outcome, Piece
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.responses.events import Event
from ktclient.gateway.responses.history import History

SPEC = {"task": {"kind": "request", "text": ""}, "server": "http://s", "max_tokens": 9}
WORKER = Identity("boot", 1, 1)
FIELDS: dict[str, object] = {"model": "m", "metadata": {"a": "b"}, "instructions": "Be brief."}
STORED: dict[str, object] = {**FIELDS, "input": []}


def submitted(store: HttpStore) -> Job:
    new = NewJob(
        pool="pool",
        spec=json.dumps({**SPEC, "model": None}),
        document=b'{"messages": []}',
        title="title",
        max_attempts=9,
        request=NewRequest("", "responses", "digest", STORED),
    )
    return store.submit(new, Capacity())


class Played:
    """A job whose attempts write, die and end, and a history that looks now and then."""

    def __init__(self, store: HttpStore) -> None:
        self.store, self.job = store, submitted(store)
        self.history = History(self.job.id)
        self.looks: list[Event] = []
        self._piece = 0

    def do(self, what: str) -> None:
        job = self.store.job(self.job.id)
        number, is_running = job.attempt, job.status.value == "RUNNING"
        if what == "look":
            self.looks += self.history.read(self.store)
        elif what == "mark":
            data = {"phase": "prefill", "at": len(self.looks)}
            self.store.mark_progress(job.id, number, self._piece if number else 0, data, -1.0)
        elif what == "claim" and not is_running:
            self.store.claim(job.id, WORKER)
            self._piece = 0
        elif what == "die" and is_running:
            self.store.requeue(job.id, number, "worker_died", "it died")
        elif what not in ("claim", "die") and is_running:
            self._piece += 1
            channel = "reasoning" if what == "Hm. " else "answer"
            self.store.append(job.id, number, [Piece(self._piece, channel, what)])

    def end(self) -> None:
        job = self.store.job(self.job.id)
        if job.status.value == "RUNNING":
            self.store.finish(job.id, job.attempt, Outcome.SUCCEEDED, None, None)
        else:
            self.store.request_cancel(job.id)


_STEPS = st.lists(
    st.sampled_from(["look", "mark", "claim", "die", "Well. ", "Hm. ", "</think>", "look"]),
    max_size=20,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_STEPS)
def test_looks_add_up_to_the_whole(state: StateDir, steps: list[str]) -> None:
    with HttpStore.open(state) as store:
        played = Played(store)
        for what in ["claim", *steps] if len(steps) % 2 else steps:
            played.do(what)
        played.do("look")
        played.end()
        played.do("look")
        assert played.history.is_over
        assert played.looks == History(played.job.id).read(store)
        assert [event.number for event in played.looks] == list(range(len(played.looks)))
        assert played.history.read(store) == []


def test_a_mark_stands_where_it_was_said(state: StateDir) -> None:
    """Between the pieces, whoever reads later; and one of a place that is past is not stored."""
    with HttpStore.open(state) as store:
        played = Played(store)
        for what in ("mark", "claim", "mark", "Well. ", "mark", "Well. "):
            played.do(what)
        assert not store.mark_progress(played.job.id, 1, 1, {}, -1.0)
        assert not store.mark_progress(played.job.id, 0, 0, {}, -1.0)
        names = [event.type.split(".", 1)[1] for event in played.history.read(store)]
        assert names == [
            *("created", "queued", "queued", "in_progress", "in_progress"),
            *("output_item.added", "content_part.added", "output_text.delta"),
            *("in_progress", "output_text.delta"),
        ]


def test_two_streams_do_not_both_say_it(state: StateDir) -> None:
    with HttpStore.open(state) as store:
        played = Played(store)
        assert store.mark_progress(played.job.id, 0, 0, {"phase": "queued"}, 60.0)
        assert not store.mark_progress(played.job.id, 0, 0, {"phase": "queued"}, 60.0)


def test_the_object_repeats_the_request(state: StateDir) -> None:
    with HttpStore.open(state) as store:
        played = Played(store)
        played.do("look")
        found: dict[str, Any] = played.history.response()
        expected = {**FIELDS, "status": "queued", "output": [], "store": True}
        assert {name: found[name] for name in expected} == expected


def test_what_was_deleted_is_not_read_on(state: StateDir) -> None:
    """Though its job has not ended yet."""
    with HttpStore.open(state) as store:
        played = Played(store)
        played.do("claim")
        played.do("look")
        store.note_deleted(played.job.id)
        with pytest.raises(NoSuchJob):
            played.do("look")
