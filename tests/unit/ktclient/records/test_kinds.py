"""How far a job with parts is: tokens over all of them, and the time that is left."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from jobs.model import Job, NewJob, Outcome
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.prompts.tasks import task
from ktclient.records import kinds, overview, snapshot
from ktclient.submission.spec import JobSpec
from ktclient.tokens.estimate import Estimate

SERVER = "http://127.0.0.1:9"
TOKENS = 1_000
ANSWER = 100


def spec(counted: int | None = TOKENS) -> str:
    size = None if counted is None else Estimate(counted, counted, counted)
    return JobSpec(task(True, None, None), SERVER, None, 10, 60.0, counted=size).to_json()


def whole(store: Store, parts: int, **of_spec: object) -> tuple[Job, list[Job]]:
    """A job that conducts so many parts, all stored."""
    own = json.dumps({**json.loads(spec(parts * TOKENS)), "conduct": kinds.BATCH, **of_spec})
    (job,) = store.submit_all([NewJob(kinds.POOL, own, b"text", "whole")], kinds.CAPACITY)
    store.claim(job.id, identity.mine())
    new = [
        NewJob(SERVER, spec(), b"x", f"part {name}", parent=job.id, part=str(name))
        for name in range(parts)
    ]
    return store.job(job.id), store.submit_all(new, kinds.CAPACITY)


def progress(store: Store, job: Job) -> kinds.PartsProgress:
    found = snapshot.of_job(store, store.job(job.id)).parts_progress
    assert found is not None
    return found


@pytest.mark.promise
def test_tokens_are_added_up_over_all_parts(state: StateDir) -> None:
    """Of one that has ended those that the server counted, of one that is read its share, of one
    that is answered all; the time that is left goes by them."""
    with Store.open(state) as store:
        job, parts = whole(store, 5)
        assert progress(store, job) == kinds.PartsProgress(5, 0, 0, 0, 5, 5 * TOKENS, 0, None)
        for part in parts[:4]:
            store.claim(part.id, identity.mine())
        store.set_figures(parts[0].id, 1, {"prompt_tokens": 1_500})
        store.finish(parts[0].id, 1, Outcome.SUCCEEDED, None, None)
        store.finish(parts[1].id, 1, Outcome.FAILED, "x", "y")
        store.enter_phase(parts[2].id, 1, "prefill")
        store.set_progress(parts[2].id, 1, 40, 160, "tokens")
        store.enter_phase(parts[3].id, 1, "decode")
        now = progress(store, job)
        assert (now.ended, now.failed, now.running, now.queued) == (2, 1, 2, 1)
        assert now.tokens == 1_500 + 4 * TOKENS
        assert now.tokens_read == 1_500 + TOKENS + TOKENS // 4 + TOKENS
        assert now.seconds_left is not None and not now.is_waiting


def test_what_was_not_counted_is_as_wrong_as_those_that_the_server_has_counted(
    state: StateDir,
) -> None:
    """The answer that a weight reserves is no token of the prompt."""
    with Store.open(state) as store:
        job, _ = whole(store, 0)
        new = [
            NewJob(SERVER, spec(None), b"x", name, weight=510, parent=job.id, part=name)
            for name in "abcd"
        ]
        parts = store.submit_all(new, kinds.CAPACITY)
        assert (now := progress(store, job)).tokens == 4 * 500 and now.tokens_read == 0
        store.claim(parts[0].id, identity.mine())
        store.set_figures(parts[0].id, 1, {"prompt_tokens": 300})
        store.finish(parts[0].id, 1, Outcome.SUCCEEDED, None, None)
        assert (now := progress(store, job)).tokens == 4 * 300 and now.tokens_read == 300


@pytest.mark.parametrize(("stored", "to_come"), [(4, 5 * ANSWER), (5, 5 * ANSWER // 2), (6, 0)])
def test_what_combines_the_answers_counts_before_it_is_stored(
    state: StateDir, stored: int, to_come: int
) -> None:
    """Each answer but the last is read once, so no share is taken back later."""
    split = {"answer": ANSWER, "chunks": [[]] * 4}
    with Store.open(state) as store:
        job, _ = whole(store, stored, split=split)
        store.set_progress(job.id, 1, 0, 6, "parts")
        now = progress(store, job)
        assert (now.requests, now.tokens) == (6, stored * TOKENS + to_come)


def test_it_is_queued_for_people_while_no_part_runs(state: StateDir) -> None:
    """Behind what runs on its server; its record stays what it is for programs."""
    with Store.open(state) as store:
        job, parts = whole(store, 2)
        (other,) = store.submit_all([NewJob(SERVER, spec(), b"y", "other")], kinds.CAPACITY)
        store.claim(other.id, identity.mine())
        now = overview.read(store, 10)
        one = next(each for each in now.jobs if each.id == job.id)
        assert (one.state, one.shown_state) == ("RUNNING", "QUEUED")
        assert now.waits[job.id] == f"behind {other.id}"
        store.claim(parts[0].id, identity.mine())
        assert snapshot.of_job(store, store.job(job.id)).shown_state == "RUNNING"
        assert snapshot.of_job(store, other).parts_progress is None
        ended = replace(one, parts_progress=None)
        assert ended.shown_state == "RUNNING"
