"""The error of a job, from its cause."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.model import Capacity, NewJob, Outcome
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.gateway.wire import job_errors


@pytest.mark.parametrize(
    ("outcome", "cause", "status", "code"),
    [
        (Outcome.CANCELLED, None, 409, "cancelled"),
        (Outcome.FAILED, "does_not_fit", 400, "context_length_exceeded"),
        (Outcome.FAILED, "model_unknown", 404, "model_not_found"),
        (Outcome.FAILED, "rate_limited", 429, "rate_limit_exceeded"),
        (Outcome.FAILED, "connection_refused", 503, "connection_refused"),
        (Outcome.FAILED, "server_refused", 400, "server_refused"),
        (Outcome.FAILED, "stream_cut", 502, "stream_cut"),
        (Outcome.FAILED, "unauthorized", 502, "server_refused_key"),
        (Outcome.LOST, "worker_killed", 500, "worker_killed"),
        (Outcome.FAILED, "of a later version", 500, "of a later version"),
    ],
)
def test_it_has_a_status_and_is_not_retried(
    state: StateDir, outcome: Outcome, cause: str | None, status: int, code: str
) -> None:
    """The job has tried again already: a client that did so too would pay for the prefill again."""
    with Store.open(state) as store:
        job = store.submit(NewJob("pool", "{}", b"", "title"), Capacity(slots=1))
    found = job_errors.of(replace(job, outcome=outcome, cause=cause, message="so it was"))
    assert (found.status, found.code) == (status, code)
    assert found.message.endswith("so it was")
    assert found.all_headers["x-should-retry"] == "false"
