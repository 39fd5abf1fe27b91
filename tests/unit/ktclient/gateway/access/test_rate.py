"""Failed tries of an address."""

from __future__ import annotations

from typing import Any

import pytest

from ktclient.gateway.access import rate
from ktclient.gateway.access.rate import Tries, address_of


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_so_many_a_minute_and_then_a_wait() -> None:
    clock = Clock()
    tries = Tries(clock)
    assert [tries.note("a") for _ in range(rate.TRIES)] == [0.0] * rate.TRIES
    clock.now += 20
    assert tries.note("a") == rate.WINDOW_SECONDS - 20
    assert tries.note("b") == 0.0
    clock.now += 40
    assert tries.note("a") == 0.0


def test_the_table_is_bounded_and_drops_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MOST_ADDRESSES", 100)
    tries = Tries(Clock())
    for _ in range(rate.TRIES):
        tries.note("mine")
    assert tries.note("mine") > 0
    for number in range(100):
        tries.note(str(number))
        assert len(tries) <= 100
    assert tries.note("mine") == 0.0


def scope(peer: str, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    return {"client": (peer, 5), "headers": headers}


def test_what_a_client_says_of_its_address_counts_only_behind_a_proxy() -> None:
    """And there what the proxy added: the last of them."""
    said = scope("127.0.0.1", "1.1.1.1, 2.2.2.2", "3.3.3.3, 4.4.4.4")
    assert address_of(said, is_behind_proxy=False) == "127.0.0.1"
    assert address_of(said, is_behind_proxy=True) == "4.4.4.4"
    assert address_of(scope("127.0.0.1"), is_behind_proxy=True) == "127.0.0.1"
    assert len(address_of(scope("127.0.0.1", "x" * 9000), is_behind_proxy=True)) <= 64


def test_a_network_of_ipv6_is_one_address() -> None:
    found = {address_of(scope(f"2001:db8::{n:x}"), is_behind_proxy=False) for n in range(1, 9)}
    assert found == {"2001:db8::/64"}
    assert address_of(scope("::ffff:1.2.3.4"), is_behind_proxy=False) == "1.2.3.4"
