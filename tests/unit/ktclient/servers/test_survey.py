"""Facts of a busy server, against the scripted one."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from fake_sglang.asking import start
from fake_sglang.process import FakeServer, fake_sglang
from support.patience import HANG_SECONDS

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.config import settings as config
from ktclient.servers import listening, memory, probe
from ktclient.servers import survey as servers_survey
from ktclient.servers.dialects.dialect import ServerFacts

SLOW = ("--prefill-seconds", "600", "--tokens-per-char", "4")  # one chunk of ten minutes
PATIENCE = HANG_SECONDS


@pytest.fixture
def settings(state: StateDir) -> config.Settings:
    """With a store: facts are remembered only where one is."""
    Store.open(state).close()
    return config.load()


def survey(
    server: FakeServer, settings: config.Settings, patience: float = PATIENCE
) -> ServerFacts:
    return servers_survey.survey(server.url, probe.probe(server.url, None), settings, patience)


def asked(server: FakeServer) -> int:
    return len(server.events("asked", path="/server_info"))


def test_what_an_idle_server_told_is_known_when_it_is_busy(
    tmp_path: Path, settings: config.Settings
) -> None:
    """At once, that is after a second, the next time sooner; and it is left with one question."""
    with fake_sglang(tmp_path, *SLOW, "--pool", "5000") as server:
        idle = survey(server, settings)
        assert (idle.pool, idle.is_busy, idle.running, idle.waiting) == (5_000, False, 0, 0)
        with closing(start(server)):
            begun, before = time.monotonic(), asked(server)
            busy = [survey(server, settings) for _ in range(5)]
            assert time.monotonic() - begun < PATIENCE
            assert asked(server) == before + 1
    assert [facts.pool for facts in busy] == [5_000] * 5
    assert [facts.is_busy for facts in busy] == [True, None, None, None, None]


def test_a_busy_server_that_told_nothing_yet_is_not_asked_again_and_again(
    tmp_path: Path, settings: config.Settings
) -> None:
    """What it did not tell stays unknown."""
    with fake_sglang(tmp_path, *SLOW) as server, closing(start(server)):
        found = [survey(server, settings, 0.2) for _ in range(3)]
        assert asked(server) == 1
    assert [facts.pool for facts in found] == [None] * 3
    assert [facts.window for facts in found] == [1_048_576] * 3


def test_other_flags_are_seen_at_the_next_look(tmp_path: Path, settings: config.Settings) -> None:
    """Whoever answers tells anew."""
    with fake_sglang(tmp_path, "--pool", "5000") as first:
        assert survey(first, settings).pool == 5_000
    again = ("--port", str(first.port), "--pool", "6000", "--metrics")
    with fake_sglang(tmp_path, *again) as second:
        found = survey(second, settings)
        assert (found.pool, found.progress) == (6_000, "metrics")
        with Store.open(settings.state) as store:
            known = memory.facts_known(store, second.url, found.model)
    assert known is not None and known.pool == 6_000


def test_a_restarted_server_that_is_busy_is_not_taken_for_the_old_one(
    tmp_path: Path, settings: config.Settings
) -> None:
    """Unknown rather than wrong."""
    with fake_sglang(tmp_path, "--pool", "5000") as first:
        assert survey(first, settings).pool == 5_000
    again = ("--port", str(first.port), *SLOW)
    with fake_sglang(tmp_path, *again) as second, closing(start(second)):
        assert survey(second, settings, 0.2).pool is None


def test_old_facts_are_a_last_resort(
    tmp_path: Path, settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a busy server that does not answer; an idle one tells anew."""
    with fake_sglang(tmp_path, *SLOW, "--pool", "5000") as server:
        probed = survey(server, settings)
        with Store.open(settings.state) as store:
            run = listening.run_of(server.url)
            memory.save(store, server.url, replace(probed, pool=4_000), run)
        monkeypatch.setattr("ktclient.servers.memory.LASTS_SAME_RUN_SECONDS", 0.0)
        with closing(start(server)):
            assert survey(server, settings, 0.2).pool == 4_000


def test_a_look_creates_no_store(tmp_path: Path, ktjob_home: Path) -> None:
    """`ktjob check` before anything was submitted."""
    with fake_sglang(tmp_path) as server:
        assert survey(server, config.load()).pool == 964_864
    assert not (ktjob_home / "ktjob.db").exists()
