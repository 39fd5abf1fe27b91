"""The models of several servers: listed together, each request sent to where its model is."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support.served import served
from support.tiny_server import Tiny

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.config import settings as config
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.gateway import models
from ktclient.gateway.models import Models
from ktclient.servers import memory, selection
from ktclient.servers.dialects.dialect import ServerFacts

TOLERATED_SECONDS = 60.0
"""How long a list may take beside sixteen busy loops; without the bound it would take for ever."""


def listing(*names: str, owner: str = "vllm") -> dict[str, object]:
    entries = [
        {"id": name, "object": "model", "created": 7, "owned_by": owner, "max_model_len": 1000}
        for name in names
    ]
    return {"object": "list", "data": entries}


@contextmanager
def servers(*lists: dict[str, object]) -> Iterator[list[Tiny]]:
    with ExitStack() as stack:
        found = [stack.enter_context(served(Tiny())) for _ in lists]
        for server, said in zip(found, lists, strict=True):
            server.say("/v1/models", said)
        yield found


def settings_of(tmp_path: Path, default: str, **named: str) -> Settings:
    tables = [f'[server]\nurl = "{default}"', *(f"[servers.{k}]\n{v}" for k, v in named.items())]
    return config.load({"KTJOB_HOME": str(tmp_path / "state")}, "\n".join(tables))


@pytest.fixture
def one() -> Iterator[Models]:
    found = Models()
    yield found
    found.close()


@pytest.fixture
def stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every list asks again."""
    monkeypatch.setattr(models, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(models, "TRUSTED_SECONDS", 0.0)


def test_models_of_all_servers_are_listed_once_the_default_first(
    tmp_path: Path, one: Models
) -> None:
    with servers(listing("a", "org/b"), listing("c", "a")) as (first, second):
        settings = settings_of(tmp_path, first.url, big=f'url = "{second.url}"')
        found = one.listed(settings)
        assert [(model.id, model.server) for model in found] == [
            *(("a", "default"), ("org/b", "default"), ("c", "big"))
        ]
        assert {(m.created, m.owned_by, m.window, m.is_available) for m in found} == {
            (7, "vllm", 1000, True)
        }
        assert one.server_of(settings, "c") == "big"
        assert one.server_of(settings, "a") is None  # where nothing is named
        assert one.server_of(settings, "unknown") is None
        assert one.server_of(settings, None) is None
        assert (len(first.asked), len(second.asked)) == (1, 1)  # and not for each question


def test_one_server_is_not_asked_where_requests_go(tmp_path: Path, one: Models) -> None:
    with servers(listing("a")) as (first,):
        assert one.server_of(settings_of(tmp_path, first.url), "z") is None
        assert first.asked == []


@pytest.mark.usefixtures("stale")
def test_a_server_that_went_away_keeps_its_models(tmp_path: Path, one: Models) -> None:
    with servers(listing("a"), listing("b")) as (first, second):
        settings = settings_of(tmp_path, first.url, big=f'url = "{second.url}"')
        one.listed(settings)
        second.say("/v1/models", b"starting", status=503)
        found = {model.id: model.is_available for model in one.listed(settings)}
        assert found == {"a": True, "b": False}
        assert one.server_of(settings, "b") == "big"
        second.say("/v1/models", listing("other"))
        assert [model.id for model in one.listed(settings)] == ["a", "other"]


def test_the_store_remembers_models_of_servers_that_are_away(tmp_path: Path, one: Models) -> None:
    away = "http://127.0.0.1:9"
    settings = settings_of(tmp_path, away)
    state = StateDir(tmp_path / "state").create()
    with Store.open(state) as store:
        for name in ("old", "wrong"):
            facts = ServerFacts(away, "sglang", name, 500, progress="loads")
            memory.save(store, away, facts, None)
        memory.invalidate(store, away, "wrong", "it serves another")
    found = one.listed(settings)
    assert [(m.id, m.window, m.is_available) for m in found] == [("old", 500, False)]


def test_a_silent_server_holds_no_list(tmp_path: Path, one: Models) -> None:
    """It accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent, servers(listing("a")) as (first,):
        quiet = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = settings_of(tmp_path, first.url, quiet=f'url = "{quiet}"')
        begun = time.monotonic()
        assert [model.id for model in one.listed(settings)] == ["a"]
        assert time.monotonic() - begun < TOLERATED_SECONDS
    assert models.ASK_SECONDS < 2.0


def test_a_configured_model_comes_first_listed_or_not(tmp_path: Path, one: Models) -> None:
    with servers(listing("a", "b"), listing("c")) as (first, second):
        text = (
            f'[server]\nurl = "{first.url}"\nmodel = "b"\n'
            f'[servers.two]\nurl = "{second.url}"\nmodel = "alias"'
        )
        settings = config.load({"KTJOB_HOME": str(tmp_path / "state")}, text)
        assert [model.id for model in one.listed(settings)] == ["b", "a", "alias", "c"]
        assert one.server_of(settings, "alias") == "two"


def test_models_that_write_no_text_are_not_listed(tmp_path: Path, one: Models) -> None:
    said = listing("a")
    said["data"] += [{"id": "nomic-embed", "type": "embedding"}]  # type: ignore[operator]
    with servers(said) as (first,):
        assert [m.id for m in one.listed(settings_of(tmp_path, first.url))] == ["a"]


def test_where_nothing_is_configured_the_places_are_those_of_submit(tmp_path: Path) -> None:
    settings = config.load({"KTJOB_HOME": str(tmp_path / "state")}, "")
    found = [place.url for place in selection.places(settings)]
    assert found == ["http://127.0.0.1:40001", "http://127.0.0.1:30000", EMBEDDED]
    facts = selection.embedded_facts(settings)
    assert facts is not None and facts.window == 8192


def test_a_named_server_that_is_the_default_is_one_place(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "big", big='url = "http://localhost:9"')
    assert [(p.named, p.label) for p in selection.places(settings)] == [(None, "big")]
    given = {"KTJOB_HOME": str(tmp_path), "KTJOB_SERVER": "http://gpu1:40001"}
    other = config.load(given, '[server]\nurl = "http://gpu2:40001"')
    assert [(p.named, p.label) for p in selection.places(other)] == [(None, "gpu1:40001")]
