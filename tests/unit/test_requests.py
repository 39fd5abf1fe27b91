"""Every place from which a request leaves is listed: none is new, and none is gone."""

from __future__ import annotations

from support import requests_made


def test_every_request_in_the_code_is_listed() -> None:
    """A new one makes this fail until it is listed, and seen with its own server's key by
    tests/integration/test_keys_of_requests.py."""
    found = {name: requests_made.calls(tree) for name, tree in requests_made.modules()}
    listed = {name: set(places) for name, places in requests_made.PLACES.items()}
    assert {name: made for name, made in found.items() if made} == listed


def test_what_can_connect_is_known() -> None:
    """Another library, or another module that uses one, is a new way out."""
    used = {name: requests_made.libraries(tree) for name, tree in requests_made.modules()}
    for name in used:
        if name.startswith(requests_made.ANSWERS):
            used[name] -= {"asyncio"}
    users = {name for name, libraries in used.items() if libraries}
    assert users - requests_made.MAY_CONNECT - requests_made.LISTENS == set()
