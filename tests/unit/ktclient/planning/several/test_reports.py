"""All servers are asked simultaneously: what one does not say delays no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ktclient.config import settings as config
from ktclient.planning.several import reports
from ktclient.planning.several.reports import BUSY, READY, SILENT, ServerReport
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.dialects.live_load import LiveLoad


@pytest.fixture
def settings(tmp_path: Path) -> config.Settings:
    environ = {
        "HOME": str(tmp_path),
        "KTJOB_HOME": str(tmp_path / "state"),
        "KTJOB_CONFIG": str(tmp_path),
    }
    text = "".join(
        f'[servers.{name}]\nurl = "http://{name}.invalid"\n'
        for name in ("one", "hung", "two", "half")
    )
    return config.load(environ, text)


def test_a_server_that_never_answers_delays_no_other(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported as silent when the time is over, and the thread that asks it is left."""
    over = threading.Event()

    def asked(settings: config.Settings, one: ServerReport) -> Iterator[ServerReport]:
        if one.name == "half":
            yield replace(one, state=READY, model="m")
        if one.name in ("hung", "half"):
            over.wait()
        yield replace(one, state=READY)

    monkeypatch.setattr(reports, "_asked", asked)
    found = {one.name: one for one in reports.read(settings, most_seconds=2.0)}
    over.set()
    assert (found["one"].state, found["two"].state) == (READY, READY)
    assert (found["half"].state, found["half"].model) == (READY, "m")  # what it said so far
    assert found["hung"].state == SILENT and "within 2" in (found["hung"].reason or "")
    assert not found["hung"].is_usable and found["one"].is_usable


def test_figures_that_an_idle_server_leaves_behind_are_none(settings: config.Settings) -> None:
    """sglang-kt's /metrics keeps those of the last request. A prefix cache is really in use."""
    facts = ServerFacts("http://one.invalid", "sglang", "m", 100, pool=1000, has_prefix_cache=False)
    load = LiveLoad(is_up=True, running=1, waiting=0, used_tokens=650, pool_tokens=1000)
    one = ServerReport("one", "http://one.invalid", "configured")

    def told(facts: ServerFacts) -> tuple[str, int | None]:
        report = reports._of_answers(one, facts, [], load)
        return report.state, report.used

    assert told(replace(facts, is_busy=False, running=0)) == (READY, 0)
    cached = replace(facts, is_busy=False, running=0, has_prefix_cache=True)
    assert told(cached) == (READY, 650)
    assert told(facts) == (BUSY, 650)
