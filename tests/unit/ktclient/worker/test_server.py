"""A job that may have any server: which of them it may go to, and which job goes first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jobs.model import Capacity, Job, NewJob, Outcome
from jobs.processes import identity
from jobs.store.rerun import Retries
from jobs.store.state_dir import StateDir
from ktclient.errors import ConnectionRefused, ServerBusy, UpstreamDown
from ktclient.prompts.tasks import Kind, Task
from ktclient.records import phases
from ktclient.submission.spec import JobSpec
from ktclient.worker import server

HERE, THERE = "http://here", "http://there"
ROOM = Capacity(tokens=1000, slots=9)


def spec(url: str, model: str = "m", others: tuple[str, ...] = ()) -> JobSpec:
    return JobSpec(Task(Kind.SUMMARIZE), url, model, 10, 60.0, others=others)


def job(store: Retries, one: JobSpec, title: str) -> Job:
    new = NewJob(one.server, one.to_json(), title.encode(), title, weight=40)
    return store.submit(new, ROOM)


def run(store: Retries, one: Job, phase: str) -> None:
    store.claim(one.id, identity.mine())
    store.enter_phase(one.id, 1, phase)


def answer(store: Retries, model: str = "m") -> None:
    """The server here answers a job by this model."""
    mine = job(store, spec(HERE, model), f"answered by {model}")
    run(store, mine, phases.DECODE)
    store.set_figures(mine.id, 1, {"model": model})
    store.finish(mine.id, 1, Outcome.SUCCEEDED, None, None)
    attempt: Any = SimpleNamespace(job_id=mine.id)
    server.offer(attempt, spec(HERE, model), has_key=False)(store)


def test_only_the_model_that_has_answered_gets_a_job_of_another_server(state: StateDir) -> None:
    with Retries.open(state) as store:
        waits = job(store, spec(THERE, others=(HERE,)), "waits")
        answer(store, "another model")
        assert store.job(waits.id).pool == THERE
        answer(store)
        taken = store.job(waits.id)
        assert taken.pool == HERE
        read = JobSpec.from_json(taken.spec)
        assert (read.server, read.others) == (HERE, (THERE,))


def test_a_job_that_runs_and_seeks_a_server_is_not_passed(state: StateDir) -> None:
    with Retries.open(state) as store:
        first, second = (job(store, spec(THERE, others=(HERE,)), name) for name in "12")
        run(store, first, phases.WAITING_FOR_SERVER)
        answer(store)
        assert store.job(second.id).pool == THERE
        store.enter_phase(first.id, 1, phases.SENDING)
        answer(store)
        assert store.job(second.id).pool == HERE


def test_what_may_still_compute_elsewhere_is_not_given_away(state: StateDir) -> None:
    with Retries.open(state) as store:
        old = job(store, spec(THERE, others=(HERE,)), "old")
        run(store, old, phases.PREFILL)
        store.finish(old.id, 1, Outcome.FAILED, "stream_cut", "the connection broke")
        again, _ = store.retry(old.id)
        answer(store)
        assert store.job(again.id).pool == THERE


@pytest.mark.parametrize("before", ["nothing", "sent", "a gateway lost it"])
def test_only_a_server_that_is_not_there_gives_up_what_was_sent(before: str) -> None:
    earlier = [SimpleNamespace(phase=phases.PREFILL)] if before == "sent" else []
    attempt: Any = SimpleNamespace(earlier=earlier, repeated=[])
    ghosts: Any = SimpleNamespace(is_doubtful=before == "a gateway lost it")
    errors = [ConnectionRefused("gone"), ServerBusy("full"), UpstreamDown("502")]
    is_free = before == "nothing"
    assert [server._may_move(attempt, ghosts, one) for one in errors] == [True, is_free, is_free]
