"""How much a server may be given at once, by what it says and what it has shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.model import Capacity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.servers import habits
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.selection import Target
from ktclient.submission import capacity

URL = "http://llama.test:8080"
FACTS = ServerFacts(URL, "llama.cpp", "m", 4096, max_running=4, has_prefix_cache=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(StateDir(tmp_path / "state").create()) as one:
        yield one


def of(store: Store, parallel: int | None = None, **changes: object) -> Capacity:
    facts = replace(FACTS, **changes)  # type: ignore[arg-type]
    return capacity.of(store, Target(URL, "named", facts, parallel))


def test_llamacpps_slots_get_one_window_together(store: Store) -> None:
    """They may share one cache, and nothing says so."""
    assert of(store) == Capacity(4096, 4, True)
    assert of(store, window=8192) == Capacity(8192, 4, True)


def test_its_owner_may_know_better(store: Store) -> None:
    """Separate caches: then only the number counts."""
    assert of(store, 2) == Capacity(None, 2, True)
    assert of(store, 1) == Capacity(None, 1, True)


def test_without_a_window_or_a_number_it_is_one_at_a_time(store: Store) -> None:
    """A router, or --no-props."""
    assert of(store, max_running=None) == Capacity(4096, 1, True)
    assert of(store, window=None) == Capacity(None, 1, True)


def test_a_cache_that_proved_shared_takes_one_at_a_time(store: Store) -> None:
    """Whatever its owner says, until another process listens there."""
    habits.prove_shared_cache(store, URL, None)
    assert of(store) == of(store, 4) == Capacity(4096, 1, True)
    assert habits.has_shared_cache(store, URL, "boot:1")
    habits.prove_shared_cache(store, URL, "boot:1")
    assert not habits.has_shared_cache(store, URL, "boot:2")


def test_other_servers_get_what_their_pool_holds(store: Store) -> None:
    """sglang names its pool; a server of which nothing is known gets one request."""
    assert of(store, dialect="sglang", pool=900, max_running=8) == Capacity(900, 8, True)
    plain = ServerFacts(URL, "openai-compatible", "m", None)
    assert capacity.of(store, Target(URL, "named", plain, None)) == Capacity(None, 1, False)
