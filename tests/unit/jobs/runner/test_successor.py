"""When a runner that cannot start its successor tries again."""

from __future__ import annotations

import time

import pytest

from jobs import program
from jobs.runner.successor import FIRST_REST_SECONDS, LONGEST_REST_SECONDS, Rest


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The time, which stands still."""
    now = {"time": 1000.0}
    monkeypatch.setattr(time, "monotonic", lambda: now["time"])
    return now


def test_the_first_try_is_immediate_and_rests_grow_to_a_bound(at: dict[str, float]) -> None:
    """2 s, 4 s … 30 s."""
    rest = Rest()
    for seconds in (FIRST_REST_SECONDS, 4.0, 8.0, 16.0, LONGEST_REST_SECONDS, LONGEST_REST_SECONDS):
        assert rest.is_over()
        rest.begin()
        at["time"] += seconds - 0.1
        assert not rest.is_over()
        at["time"] += 0.1
    assert rest.is_over()


def test_files_that_come_back_end_a_rest(
    at: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: the next rest is the shortest again."""
    rest = Rest()
    for _ in range(5):
        rest.begin()
    monkeypatch.setattr(program, "__file__", "/gone/program.py")
    assert not rest.is_over()
    monkeypatch.undo()
    monkeypatch.setattr(time, "monotonic", lambda: at["time"])
    assert rest.is_over()
    assert not rest.is_over()
    rest.begin()
    at["time"] += FIRST_REST_SECONDS
    assert rest.is_over()


def test_who_asks_waits_for_the_shortest_rest_only(at: dict[str, float]) -> None:
    """A ring of the doorbell: many of them make no hot loop."""
    rest = Rest()
    for _ in range(5):
        rest.begin()
    assert not rest.is_over(is_asked=True)
    at["time"] += FIRST_REST_SECONDS
    assert rest.is_over(is_asked=True) and not rest.is_over()
