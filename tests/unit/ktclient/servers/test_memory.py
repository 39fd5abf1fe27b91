"""Remembered facts of servers: used while nothing speaks against them, doubted when it does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.servers import listening, memory, probe, queries
from ktclient.servers.dialects.dialect import ServerFacts

SERVER = "http://127.0.0.1:40001"
PROBED = ServerFacts(SERVER, "sglang", "m", 1_000)
TOLD = replace(
    PROBED,
    pool=900,
    max_running=2,
    chunk=64,
    page=16,
    has_prefix_cache=False,
    progress="loads",
    is_busy=True,
    running=1,
    waiting=3,
)
LASTING = replace(TOLD, is_busy=None, running=None, waiting=None)


class Notes(dict[tuple[str, str], dict[str, object]]):
    """A memory that needs no disk: what is remembered is the values themselves."""

    def remember(self, pool: str, name: str, value: dict[str, object]) -> None:
        self[pool, name] = value

    def recall(self, pool: str, name: str) -> dict[str, object] | None:
        return self.get((pool, name))


@pytest.fixture
def told() -> Notes:
    notes = Notes()
    memory.save(notes, SERVER, TOLD, "run 1")
    return notes


def test_they_are_used_at_once(state: StateDir) -> None:
    """Through the store; but what was true of one moment is forgotten."""
    with Store.open(state) as store:
        assert memory.load(store, SERVER, PROBED, "run 1") is None
        memory.save(store, SERVER, TOLD, "run 1")
    with Store.open(state) as store:
        known = memory.load(store, SERVER, PROBED, "run 1")
        assert known is not None and known.doubt is None
        assert known.facts == LASTING == memory.facts_known(store, SERVER, "m")


def test_what_was_not_told_is_not_remembered(told: Notes) -> None:
    """A busy server's silence does not replace what it said before."""
    memory.save(told, SERVER, replace(PROBED, is_busy=True), "run 1")
    assert memory.facts_known(told, SERVER, "m") == LASTING


def test_each_model_has_its_own(told: Notes) -> None:
    """Also under one address."""
    assert memory.load(told, SERVER, replace(PROBED, model="n"), "run 1") is None
    assert memory.facts_known(told, SERVER, "n") is None


@pytest.mark.parametrize(
    ("probed", "run", "word"),
    [
        (replace(PROBED, window=2_000), "run 1", "window"),
        (replace(PROBED, dialect="llama.cpp"), "run 1", "llama.cpp"),
        (PROBED, "run 2", "another process"),
    ],
)
def test_another_server_under_that_name_refutes_them(
    told: Notes, probed: ServerFacts, run: str, word: str
) -> None:
    """Its window, its kind, or the process that listens."""
    known = memory.load(told, SERVER, probed, run)
    assert known is not None and known.is_refuted and word in str(known.doubt)


def test_a_refusal_refutes_them_until_they_are_told_anew(told: Notes) -> None:
    """The server acted against them."""
    memory.invalidate(told, SERVER, "m", "it refused a prompt of 500 tokens")
    known = memory.load(told, SERVER, PROBED, "run 1")
    assert known is not None and known.is_refuted and "500" in str(known.doubt)
    assert memory.facts_known(told, SERVER, "m") is None
    memory.save(told, SERVER, replace(TOLD, pool=400), "run 1")
    known = memory.load(told, SERVER, PROBED, "run 1")
    assert known is not None and known.doubt is None and known.facts.pool == 400


@pytest.mark.parametrize(
    ("told_at", "run", "doubted"),
    [
        ("-30min", None, False),
        ("-2h", None, True),
        ("-2h", "run 1", False),
        ("-25h", "run 1", True),
        ("+1h", "run 1", True),
    ],
)
def test_age_makes_them_doubtful(told: Notes, told_at: str, run: str | None, doubted: bool) -> None:
    """Later where the same process still listens; a clock that was set back proves nothing."""
    from jobs import clock

    sign = -1 if told_at[0] == "+" else 1
    number = float(told_at[1:].rstrip("minh"))
    seconds = sign * number * (60 if told_at.endswith("min") else 3600)
    (key,) = told
    told[key] = {**told[key], "told_at": clock.ago(seconds)}
    known = memory.load(told, SERVER, PROBED, run)
    assert known is not None and not known.is_refuted
    assert (known.doubt is not None) is doubted
    assert known.facts.pool == 900


@pytest.mark.parametrize("note", [{}, {"facts": None}, {"facts": {}}, {"facts": {"url": 1}}, {}])
def test_what_cannot_be_read_is_nothing(told: Notes, note: dict[str, object]) -> None:
    """It is only a memory."""
    (key,) = told
    told[key] = note
    assert memory.load(told, SERVER, PROBED, None) is None
    assert memory.facts_known(told, SERVER, "m") is None


def test_what_a_later_version_knew_too_is_left_out(told: Notes) -> None:
    """The rest is good."""
    (key,) = told
    kept = told[key]["facts"]
    assert isinstance(kept, dict)
    told[key] = {**told[key], "facts": {**kept, "colour": "blue"}}
    assert memory.facts_known(told, SERVER, "m") == LASTING


def test_a_restart_is_seen_by_its_socket(tmp_path: Path, state: StateDir) -> None:
    """Two servers, one after another on one port, with other flags: what the first told is not
    believed of the second, though model and window are the same."""
    with fake_sglang(tmp_path) as first, Store.open(state) as store:
        probed, run = probe.probe(first.url, None), listening.run_of(first.url)
        assert run is not None and listening.run_of(first.url) == run
        memory.save(store, first.url, queries.survey(probed, None, 30), run)
        known = memory.load(store, first.url, probed, listening.run_of(first.url))
        assert known is not None and known.doubt is None and known.facts.pool == 964_864
    again = ("--port", str(first.port), "--pool", "5000")
    with fake_sglang(tmp_path, *again) as second, Store.open(state) as store:
        probed = probe.probe(second.url, None)
        known = memory.load(store, second.url, probed, listening.run_of(second.url))
        assert known is not None and known.is_refuted


def test_of_another_machine_no_run_is_known() -> None:
    """Nor of a port where nobody listens."""
    assert listening.run_of("http://192.0.2.1:40001") is None
    assert listening.run_of("http://127.0.0.1:1") is None
