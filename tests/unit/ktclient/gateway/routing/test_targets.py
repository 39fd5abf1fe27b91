"""What servers said a moment ago."""

from __future__ import annotations

import time

import pytest

from ktclient.gateway.routing import targets
from ktclient.gateway.routing.targets import Targets
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.selection import Target
from ktclient.submission.chat_request import KnownServer

FACTS = ServerFacts("http://x", "sglang", "m", 1000)
LEARNED = (None, "unknown")
SERVER = KnownServer(Target("http://x", "named", FACTS, None), LEARNED)


def test_it_is_used_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    known, target = Targets(), SERVER
    known.keep((None, "m"), target)
    assert known.get((None, "m")) is target and known.get((None, None)) is None
    later = time.monotonic() + targets.FRESH_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert known.get((None, "m")) is None
    known.keep((None, "m"), target)
    known.drop((None, "m"))
    assert known.get((None, "m")) is None


def test_a_server_that_is_being_started_is_asked_again_and_few_are_kept() -> None:
    known = Targets()
    known.keep((None, None), KnownServer(Target("embedded", "named", None, 1), LEARNED))
    assert known.get((None, None)) is None
    for number in range(1000):
        known.keep((None, str(number)), SERVER)
    kept = [number for number in range(1000) if known.get((None, str(number)))]
    assert kept == list(range(1000 - len(kept), 1000)) and len(kept) < 100
