"""One spelling for one host: what is compared is what the client really connects to."""

from __future__ import annotations

import socket

import httpx2
import pytest

from ktclient import urls
from ktclient.errors import BadInput
from server_bundle import addresses

SPELLINGS = {
    "127.0.0.1": [
        *("127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1"),
        *("127.0.0.1.", "127\u30020\u30020\u30021", "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]"),
    ],
    "::1": ["[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]"],
    "127.0.0.2": ["127.2", "127.0.0.2", "0x7f.2"],
    "10.0.0.1": ["10.1", "10.0.0.1", "0xa.1", "167772161"],
}
"""The address to which the system connects, and its spellings."""


@pytest.mark.parametrize("address", SPELLINGS)
def test_a_number_in_any_spelling_is_one_address(address: str) -> None:
    """As the system's own resolver says of the host that httpx2 makes of the URL that we ask."""
    for spelling in SPELLINGS[address]:
        root = urls.root_of(f"http://{spelling}:40001/v1/")
        host = httpx2.URL(root).host
        (found, *_) = socket.getaddrinfo(host, 40001, flags=socket.AI_NUMERICHOST)
        assert found[4][0] == address, spelling
        assert root == urls.root_of(f"http://{SPELLINGS[address][0]}:40001"), spelling


def test_different_addresses_are_never_one() -> None:
    """Every spelling against every other: the same exactly if the system connects to the same."""
    known = [(spelling, to) for to, found in SPELLINGS.items() for spelling in found]
    for one, to in known:
        for other, elsewhere in known:
            same = urls.is_same(f"http://{one}:1", f"http://{other}:1")
            assert same is (to == elsewhere), (one, other)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://localhost:1", "http://127.0.0.1:1", True),
        ("http://LOCALHOST.:1", "http://localhost:1", True),
        ("http://0.0.0.0:1", "http://127.0.0.1:1", True),
        ("http://localhost:1", "http://[::1]:1", False),
        ("http://127.0.0.1:1", "http://[::1]:1", False),
        ("http://gpu.example", "HTTP://GPU.Example:80/v1/", True),
        ("http://gpu.example.", "http://gpu.example", True),
        ("http://gpu.", "http://gpu", False),
        ("https://gpu.example:443/", "https://gpu.example", True),
        ("https://gpu.example", "http://gpu.example:443", False),
        ("http://gpu.example/a", "http://gpu.example/A", False),
        ("http://straße.example", "http://xn--strae-oqa.example", True),
        ("http://straße.example", "http://strasse.example", False),
        ("http://BÜCHER.example", "http://xn--bcher-kva.example", True),
        ("http://gpu.example", "http://gpu.example@evil.example", False),
        ("http://gpu.example", "http://user:pw@gpu.example", False),
        ("http://gpu.example", "http://gpu.example\\@evil.example", False),
        ("http://gpu.example", "http://gpu.example%2eevil", False),
        ("http://[fe80::1%25eth0]:1", "http://[fe80::1%25ETH0]:1", False),
    ],
)
def test_names(one: str, other: str, same: bool) -> None:
    """Case, default port, dots, slashes and IDNA as httpx2 does it; no user in a URL."""
    assert urls.is_same(one, other) is same
    assert urls.is_same(other, one) is same


@pytest.mark.parametrize(
    "written",
    [
        "http://gpu.example\\evil",
        "http://gpu%2eexample",
        "http://%3127.0.0.1",
        "http://\uff11\uff12\uff17.0.0.1",
        "http://gpu example",
        "http://[::1%25]x:1",
        "http://gpu<>",
    ],
)
def test_what_clients_read_differently_is_refused(written: str) -> None:
    """Before a key is looked up for it."""
    with pytest.raises(BadInput):
        urls.root_of(written)


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f.1", "2130706433", "LocalHost.", "[::1]", "[::ffff:127.0.0.1]", "0"]
)
def test_this_machine_in_any_spelling_is_never_reached_through_a_proxy(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Document and key would go to another machine, which then asks itself."""
    from ktclient.request import connection

    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    with connection.short_client("a-key-of-the-test", f"http://{host}:40001") as client:
        assert client.trust_env is False
    assert addresses.is_here(host.strip("[]"))
    for elsewhere in ("10.1", "gpu.example", "localhost.example", "127.example", "[fe80::1]"):
        assert not addresses.is_here(elsewhere.strip("[]"))
