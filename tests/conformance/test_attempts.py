"""Whole jobs, whoever serves: what a killed worker and a cancel leave there, and what follows."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.conftest import REAL, Server, Servers
from conformance.test_client import is_silent, wait_for
from jobs.model import Attempt
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, submit_long

Until = Callable[..., object]
KILLING = Path(__file__).parents[1] / "support" / "killing"
AT_ONCE = (
    "jobs.runner.loop.REST_SECONDS=0.05,jobs.runner.loop.TICK_SECONDS=0.1,"
    "ktclient.worker.ghost_prefill.LOOK_SECONDS=0.2,ktclient.worker.abort.AFTER_CANCEL_SECONDS=1"
)
"""For ghosts of a few seconds: another attempt begins as soon as the first is known to be dead, and
a cancel does not look for longer than they last."""


@pytest.fixture(params=["kt, slow", "upstream, slow", REAL])
def sglang(request: pytest.FixtureRequest, servers: Servers) -> Server:
    """A prefill there outlasts what a job does between two looks."""
    return servers.get(request.param)


@pytest.fixture
def job(sglang: Server, state: StateDir, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A long one, whose prompt is being read."""
    assert sglang.key is not None
    wait_for(sglang, True)
    monkeypatch.setenv("KTJOB_API_KEY", sglang.key)
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    monkeypatch.setenv("KTJOB_CONSTANTS", AT_ONCE)
    job = submit_long(sglang.prompt(sglang.long), server=sglang.facts.url, max_tokens=8)
    wait_for(sglang, False)
    return job


def attempts(state: StateDir, job: Job) -> list[Attempt]:
    with Store.open(state) as store:
        return store.attempts(job.id)


def test_a_killed_worker_is_followed_by_one_more_once_the_server_is_silent(
    sglang: Server, job: Job, state: StateDir, until: Until
) -> None:
    """kt computes the first prefill to its end; upstream drops it by its name. Neither is asked
    again before that."""
    (first,) = attempts(state, job)
    os.kill(first.worker.pid, signal.SIGKILL)
    if sglang.has_ghosts:
        until(lambda: str(job.status().phase).startswith("waiting for the last attempt"))
        assert is_silent(sglang) is False
    assert job.result()
    first, second = attempts(state, job)
    assert (first.outcome, first.rid == second.rid, second.number) == ("LOST", False, 2)
    with Store.open(state) as store:
        notes = [one.data for one in store.events(job.id) if one.kind == "last attempt"]
    assert notes == [{"silent": True}]


def test_a_cancel_says_whether_the_server_goes_on(sglang: Server, job: Job) -> None:
    """And how long that lasts at most; then the next job is answered."""
    job.cancel()
    with pytest.raises(errors.JobCancelled) as cancelled:
        job.result()
    assert ("still computes" in str(cancelled.value)) == sglang.has_ghosts
    after = submit_long("And now?", server=sglang.facts.url, max_tokens=8)
    assert after.result()
