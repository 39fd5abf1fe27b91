"""API keys: how they are made and known."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from jobs.store.http.store import HttpStore
from jobs.store.http.values import ApiKey
from jobs.store.state_dir import StateDir
from ktclient.errors import BadInput
from ktclient.gateway.access import keys
from ktclient.gateway.access.keys import KeyRing, Known
from ktclient.gateway.store_threads import StoreThreads


def stored(name: str, key: str, expires_at: str | None = None) -> ApiKey:
    return ApiKey(
        keys.make_id(), name, keys.hash_of(key), False, "2026-11-30T00:00:00Z", expires_at
    )


def test_a_key_has_256_bits_and_the_form_by_which_secrets_are_hidden() -> None:
    from jobs import known_secrets

    made = {keys.make() for _ in range(50)}
    assert len(made) == 50
    for key in made:
        assert key.startswith("sk-ktjob-") and len(key) == len("sk-ktjob-") + 43
        assert known_secrets.hide_shapes(f"GET /v1/{key}/x") == "GET /v1/***/x"


def test_a_hash_does_not_contain_the_key() -> None:
    key = keys.make()
    assert keys.hash_of(key) == keys.hash_of(key) != keys.hash_of(f"{key}.")
    assert key[9:] not in keys.hash_of(key) and len(keys.hash_of(key)) == 64
    assert keys.hash_of("\ud800")  # whatever a header holds


def test_a_known_key_is_found_and_no_other() -> None:
    first, second = keys.make(), keys.make()
    known = Known([stored("a", first), stored("b", second)], 0.0, True)
    found = known.of(second)
    assert found is not None and found.name == "b"
    for wrong in ("", first[:-1], f"{first} ", first.upper(), known.keys[0].hash, known.keys[0].id):
        assert known.of(wrong) is None
    assert known.of_id(known.keys[0].id) is known.keys[0] and known.of_id("") is None


def test_all_keys_are_compared_whichever_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time says neither how many characters were right nor which key it was."""
    made = [keys.make() for _ in range(5)]
    known = Known([stored(str(n), key) for n, key in enumerate(made)], 0.0, True)
    compared: list[object] = []

    def compare(a: str, b: str) -> bool:
        compared.append(a)
        return a == b

    monkeypatch.setattr("ktclient.gateway.access.keys.hmac.compare_digest", compare)
    for tried in (made[0], made[4], "sk-ktjob-wrong"):
        compared.clear()
        known.of(tried)
        assert len(compared) == 5


def test_expiry() -> None:
    assert not keys.is_expired(stored("a", "k"))
    assert not keys.is_expired(stored("a", "k", "2999-01-01T00:00:00.000Z"))
    assert keys.is_expired(stored("a", "k", "2020-01-01T00:00:00.000Z"))


@pytest.mark.parametrize("name", ["", "-a", "a b", "a\n", "ä", "a/b", "x" * 65, "\x1b[2J"])
def test_a_name_that_a_log_line_could_not_hold_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="cannot be called"):
        keys.check_name(name)


@pytest.mark.parametrize("name", ["alice", "a.b@example.org", "team-1_x", "x" * 64])
def test_other_names_are_taken(name: str) -> None:
    assert keys.check_name(name) == name


@pytest.fixture
def threads(state: StateDir) -> Iterator[StoreThreads]:
    HttpStore.open(state).close()  # as the gateway does at its start
    made = StoreThreads(state)
    yield made
    made.close()


def add(state: StateDir, name: str) -> str:
    key = keys.make()
    with HttpStore.open(state) as store:
        assert store.add_api_key(
            keys.make_id(), name, keys.hash_of(key), is_admin=False, expires_at=None
        )
    return key


def test_a_change_of_the_store_counts_at_once(
    state: StateDir, threads: StoreThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the removal of the last key: it does not open the door."""
    monkeypatch.setattr("ktclient.gateway.access.keys.CACHE_SECONDS", 0.0)

    async def look() -> None:
        ring = KeyRing(threads)
        assert not (await ring.known()).are_needed
        key = add(state, "alice")
        now = await ring.known()
        assert now.are_needed and now.of(key) is not None
        with HttpStore.open(state) as store:
            assert store.remove_api_key("alice")
        now = await ring.known()
        assert now.are_needed and now.of(key) is None and not now.keys

    asyncio.run(look())


def test_many_tries_cost_few_reads(
    state: StateDir, threads: StoreThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    real = HttpStore.api_keys

    def counted(store: HttpStore) -> list[ApiKey]:
        nonlocal reads
        reads += 1
        return real(store)

    monkeypatch.setattr(HttpStore, "api_keys", counted)
    monkeypatch.setattr("ktclient.gateway.access.keys.CACHE_SECONDS", 600.0)

    async def look() -> None:
        ring = KeyRing(threads)
        await asyncio.gather(*(ring.known() for _ in range(200)))
        await ring.known()

    asyncio.run(look())
    assert reads == 1
