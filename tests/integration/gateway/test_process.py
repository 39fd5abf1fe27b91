"""The process of `ktjob serve`."""

from __future__ import annotations

import httpx2
from support.gateway import gateway

from jobs.store.state_dir import StateDir


def test_it_answers_and_names_each_request(state: StateDir) -> None:
    with gateway(state, "http://127.0.0.1:9") as one:
        answer = httpx2.get(f"{one.url}/healthz")
        assert answer.json()["status"] == "ok"
        assert answer.headers["x-request-id"].startswith("req_")


def test_what_is_not_there_is_an_error_of_openai(state: StateDir) -> None:
    with gateway(state, "http://127.0.0.1:9") as one:
        answer = httpx2.get(f"{one.url}/v1/nothing")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"
        assert answer.headers["x-should-retry"] == "false"
