"""Names by which the gateway may be called, and origins whose pages may use it."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from ktclient.errors import BadInput
from ktclient.gateway.access import hosts
from ktclient.gateway.access.rules import Rules
from ktclient.gateway.wire.errors import ApiError

PLAIN = Rules()
LOOPBACK, LAN = ("127.0.0.1", 8640), ("192.168.1.5", 8640)


def scope(
    *headers: tuple[str, str],
    server: tuple[str, int] = LOOPBACK,
    method: str = "POST",
    path: str = "/v1/responses",
) -> dict[str, Any]:
    listed = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return {"headers": listed, "server": server, "method": method, "path": path}


def status_of_host(*given: str, server: tuple[str, int] = LOOPBACK, rules: Rules = PLAIN) -> int:
    try:
        hosts.check_host(scope(*(("host", one) for one in given), server=server), rules)
    except ApiError as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8640",
        "localhost:1",
        "LOCALHOST",
        "localhost.:8640",
        "[::1]:8640",
        "a.localhost",
        "127.8.8.8",
    ],
)
def test_this_machine_has_many_names(host: str) -> None:
    """Through a forwarded port, the port is another one."""
    assert status_of_host(host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil-localhost",
        "192.168.1.5",
        "0.0.0.0",
        "[2001:db8::1]",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
    ],
)
def test_any_other_name_is_refused(host: str) -> None:
    """DNS rebinding: a page's own name that leads here."""
    assert status_of_host(host) == 421


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("",),
        ("a", "b"),
        ("a b",),
        ("a@b",),
        ("a/b",),
        ("a:b",),
        ("localhost", "localhost"),
        ("[::1",),
        ("x" * 300,),
        ("ä",),
    ],
)
def test_what_is_no_host_or_two_is_refused(given: tuple[str, ...]) -> None:
    assert status_of_host(*given) == 400


def test_an_address_that_it_listens_on_is_a_name_of_its_own() -> None:
    assert status_of_host("192.168.1.5:8640", server=LAN) == 200
    assert status_of_host("192.168.1.5", server=("::ffff:192.168.1.5", 1)) == 200
    assert status_of_host("192.168.1.6", server=LAN) == 421
    assert status_of_host(socket.gethostname(), server=LAN) == 200
    assert status_of_host(f"{socket.gethostname()}.evil.example", server=LAN) == 421


def test_a_proxys_name_is_allowed_by_an_option() -> None:
    rules = Rules(hosts=frozenset({hosts.host_name("LLM.example.")}))
    assert status_of_host("llm.example", rules=rules) == 200
    assert status_of_host("llm.example:443", rules=rules) == 200
    assert status_of_host("x.llm.example", rules=rules) == 421


def is_refused(*headers: tuple[str, str], rules: Rules = PLAIN, **more: Any) -> bool:
    try:
        hosts.check_origin(scope(("host", "localhost:8640"), *headers, **more), rules)
    except ApiError as error:
        assert error.status == 403
        return True
    return False


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_pages_of_other_origins_are_refused(method: str) -> None:
    """Also for what only reads, and from another port of this machine."""
    for origin in (
        "https://evil.example",
        "null",
        "http://localhost:3000",
        "http://127.0.0.1:8640",
        "file://",
        "http://localhost:8640.evil.example",
        "ftp://localhost:8640",
    ):
        assert is_refused(("origin", origin), method=method), origin
    for site in ("cross-site", "same-site"):
        assert is_refused(("sec-fetch-site", site), method=method), site


def test_its_own_pages_and_programs_are_not() -> None:
    assert not is_refused()
    assert not is_refused(("origin", "http://localhost:8640"), ("sec-fetch-site", "same-origin"))
    assert not is_refused(("sec-fetch-site", "none"), method="GET")


def test_behind_tls_the_origin_has_another_scheme_than_we_see() -> None:
    named = scope(("host", "llm.example"), ("origin", "https://llm.example"))
    hosts.check_origin(named, PLAIN)
    assert hosts.own_origin(named)
    other = scope(("host", "llm.example"), ("origin", "https://llm.example:444"))
    assert not hosts.own_origin(other)


def test_a_link_to_the_page_may_be_followed_but_not_put_in_a_frame() -> None:
    followed = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]
    page = {"method": "GET", "path": "/"}
    assert not is_refused(*followed, ("sec-fetch-dest", "document"), **page)
    assert is_refused(*followed, ("sec-fetch-dest", "iframe"), **page)
    assert is_refused(*followed, ("sec-fetch-dest", "document"), method="GET", path="/v1/files")
    assert is_refused(*followed, ("sec-fetch-dest", "document"), method="POST", path="/login")


def test_an_origin_is_allowed_exactly() -> None:
    rules = Rules(origins=frozenset({hosts.origin_name("https://Chat.example:443/")}))
    assert rules.origins == {"https://chat.example"}
    assert not is_refused(("origin", "https://chat.example"), rules=rules)
    for origin in (
        "http://chat.example",
        "https://chat.example:444",
        "https://x.chat.example",
        "https://chat.example.evil",
    ):
        assert is_refused(("origin", origin), rules=rules), origin


@pytest.mark.parametrize(
    "given",
    [
        "*",
        "",
        "chat.example",
        "https://",
        "https://a/b",
        "https://a?b",
        "https://u@a",
        "https://a:b",
        "null",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused_at_the_start(given: str) -> None:
    with pytest.raises(BadInput, match="--allow-origin"):
        hosts.origin_name(given)


@pytest.mark.parametrize("given", ["*", "", "http://a", "a:80", "a/b", "a b"])
def test_a_host_that_is_no_name_is_refused_at_the_start(given: str) -> None:
    with pytest.raises(BadInput, match="--allow-host"):
        hosts.host_name(given)


def test_apps_have_origins_too() -> None:
    assert hosts.origin_name("app://obsidian.md") == "app://obsidian.md"
    assert hosts.host_name("[FD00::1]") == "fd00::1"
