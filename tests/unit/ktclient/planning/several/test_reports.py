"""All servers are asked simultaneously: what one does not say delays no other."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ktclient.config import settings as config
from ktclient.planning.several import reports
from ktclient.planning.several.reports import READY, SILENT, ServerReport


@pytest.fixture
def settings(tmp_path: Path) -> config.Settings:
    environ = {
        "HOME": str(tmp_path),
        "KTJOB_HOME": str(tmp_path / "state"),
        "KTJOB_CONFIG": str(tmp_path),
    }
    text = "".join(
        f'[servers.{name}]\nurl = "http://{name}.invalid"\n' for name in ("one", "hung", "two")
    )
    return config.load(environ, text)


def test_a_server_that_never_answers_delays_no_other(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported as silent when the time is over, and the thread that asks it is left."""
    over = threading.Event()

    def asked(settings: config.Settings, one: ServerReport) -> ServerReport:
        if one.name == "hung":
            over.wait()
        return replace(one, state=READY)

    monkeypatch.setattr(reports, "_asked", asked)
    found = {one.name: one for one in reports.read(settings, most_seconds=2.0)}
    over.set()
    assert (found["one"].state, found["two"].state) == (READY, READY)
    assert found["hung"].state == SILENT and "within 2" in (found["hung"].reason or "")
    assert not found["hung"].is_usable and found["one"].is_usable
