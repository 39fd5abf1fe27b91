"""Whether a gateway may start without keys."""

from __future__ import annotations

import pytest

from jobs.store.http.values import ApiKey
from ktclient.errors import BadInput
from ktclient.gateway.access import openness
from ktclient.gateway.access.rules import Rules

KEY = ApiKey("key_1", "alice", "f" * 64, False, "2026-11-30T00:00:00Z", "2026-11-30T00:00:01Z")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "2001:db8::1", "fe80::1%eth0"])
def test_other_machines_need_a_key(address: str) -> None:
    with pytest.raises(BadInput, match="ktjob serve keys add NAME"):
        openness.check(address, [], Rules())
    assert openness.check(address, [KEY], Rules()) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"])
def test_on_this_machine_it_is_said_who_may_use_it(address: str) -> None:
    said = openness.check(address, [], Rules())
    assert said is not None and "every user and program of this machine" in said
    assert openness.check(address, [KEY], Rules()) is None


def test_a_proxy_brings_others_here() -> None:
    with pytest.raises(BadInput, match="proxy"):
        openness.check("127.0.0.1", [], Rules(is_behind_proxy=True))
