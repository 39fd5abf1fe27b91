"""An event in words, where its stored kind is no plain English; JSON keeps the kind."""

from __future__ import annotations

import pytest

from jobs.model import Event
from ktclient.cli.render import job_details


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("claimed", {"pid": 7}, "worker started (pid 7)"),
        ("queued again", {"cause": "server_died"}, "queued for a new attempt (cause server_died)"),
        ("cancel wished", {}, "cancel requested"),
        ("last attempt", {"silent": True}, "previous attempt has ended on the server"),
        (
            "last attempt",
            {"silent": False, "because": "busy"},
            "previous attempt may still run on the server (because busy)",
        ),
        (
            "last attempt",
            {"silent": "unknown"},
            "previous attempt: unknown whether it has ended on the server",
        ),
        (
            "abort",
            {"asked": False, "dialect": "sglang"},
            "abort (requested no, server type sglang)",
        ),
        ("finished", {"outcome": "FAILED"}, "finished (outcome FAILED)"),
    ],
)
def test_an_event_in_words(kind: str, data: dict[str, object], said: str) -> None:
    """The record for programs is as stored."""
    event = Event("2026-11-29T16:00:00Z", 1, kind, data, "k7m2p9qx", 1)
    assert job_details.event_line(event) == said
    assert job_details.event_record(event)["kind"] == kind
    assert job_details.event_record(event)["data"] == data
