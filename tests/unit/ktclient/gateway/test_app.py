"""What the application answers where none of its routes does."""

from __future__ import annotations

import httpx2
import pytest
from support.gateway_app import gateway_app

from jobs.store.state_dir import StateDir
from ktclient.gateway.chat import stored
from ktclient.gateway.context import Limits


def test_a_failure_of_the_gateway_is_openais_error(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its words, which may repeat a document; and clients do not repeat the request."""

    def fail(*_: object) -> None:
        raise ValueError("the document")

    monkeypatch.setattr(stored, "listed", fail)
    with gateway_app(state, "http://127.0.0.1:9", Limits()) as url:
        answer = httpx2.get(f"{url}/v1/chat/completions")
    assert (answer.status_code, answer.headers["x-should-retry"]) == (500, "false")
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == (
        *("server_error", None),
        "internal_error",
    )
    assert answer.headers["x-request-id"] in error["message"] and "document" not in answer.text
