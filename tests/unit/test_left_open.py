"""What a test leaves open is found in that test (`tests/support/left_open.py`)."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator

import pytest
from support.left_open import Watch


@pytest.fixture
def watch() -> Iterator[Watch]:
    """One that has begun; meanwhile nothing else collects garbage."""
    gc.collect()
    gc.disable()
    found = Watch()
    found.begin()
    yield found
    gc.enable()


def test_a_socket_that_was_dropped_in_a_cycle_is_named(watch: Watch) -> None:
    box: dict[str, object] = {"socket": socket.socket()}
    box["box"] = box
    del box
    found = watch.look()
    assert found is not None and "without closing" in found and "socket.socket" in found
    assert watch.look() is None, "found once"


def test_what_was_closed_is_no_complaint(watch: Watch) -> None:
    with socket.socket():
        pass
    assert watch.look() is None


def test_a_socket_that_stays_open_is_named(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.left_open.CLOSING_SECONDS", 0.0)
    with socket.socket() as one:
        found = watch.look()
        assert found is not None and "left open" in found and repr(one) in found
