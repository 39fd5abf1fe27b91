"""How long what is not there is waited for, by a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.errors import KtjobError
from jobs.store.state_dir import StateDir
from ktclient import errors
from ktclient.prompts.tasks import Kind, Task
from ktclient.submission.spec import JobSpec
from ktclient.worker import retry

AWAY = errors.ConnectionRefused("nothing listens there")
LOADING = errors.ServerBusy("is still starting")
BAD = errors.BadSetting("config.toml cannot be read")
HOUR, DAY = 3600.0, 86_400.0

Refuse = Callable[[float, KtjobError], bool]


@pytest.fixture
def refuse(state_of_nothing: StateDir, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Refuse]:
    """Of a job with this timeout: after so many seconds comes this error; is that enough?"""

    def of(timeout: float = DAY) -> Refuse:
        clock = SimpleNamespace(monotonic=lambda: 0.0)
        monkeypatch.setattr(retry, "time", clock)
        attempt: Any = SimpleNamespace(state=state_of_nothing)
        spec = JobSpec(Task(Kind.SUMMARIZE), "http://127.0.0.1:9", None, 10, timeout)
        refusals, number = retry._Refusals(attempt, spec), 0

        def refused(seconds: float, error: KtjobError) -> bool:
            nonlocal number
            number += 1
            clock.monotonic = lambda: 1000.0 + seconds
            outcome = SimpleNamespace(exception=lambda: error)
            state: Any = SimpleNamespace(attempt_number=number, outcome=outcome)
            return refusals.are_enough(state)

        return refused

    return of


@pytest.fixture
def state_of_nothing(tmp_path: Any) -> StateDir:
    return StateDir(tmp_path)


@pytest.mark.parametrize("error", [AWAY, BAD, errors.UpstreamDown("no server behind it")])
def test_what_is_away_is_waited_for_a_day(refuse: Callable[..., Refuse], error: KtjobError) -> None:
    of_a_day = refuse()
    assert [of_a_day(at, error) for at in (0, HOUR, DAY - 1, DAY + 1)] == [False] * 3 + [True]


def test_a_timeout_of_minutes_is_the_limit_of_all_of_it(refuse: Callable[..., Refuse]) -> None:
    """However often the reason changes."""
    short = refuse(60.0)
    assert [short(at, one) for at, one in ((0, BAD), (59, AWAY), (59.5, BAD))] == [False] * 3
    assert short(61, LOADING)


def test_a_server_that_comes_back_after_hours_may_load_its_model(
    refuse: Callable[..., Refuse],
) -> None:
    """The patience with one that is starting begins when it is seen to be."""
    night = refuse()
    assert not night(0, AWAY) and not night(8 * HOUR, AWAY)
    assert not night(8 * HOUR + 10, LOADING)
    assert not night(8 * HOUR + 600, LOADING)
    assert night(8 * HOUR + 620, LOADING)


def test_one_that_comes_and_goes_is_not_waited_for_without_end(
    refuse: Callable[..., Refuse],
) -> None:
    """A day is the end of it."""
    often = refuse()
    ends = [often(at * HOUR, AWAY if at % 2 else LOADING) for at in range(26)]
    assert ends.index(True) in (24, 25)


def test_the_embedded_server_is_started_a_few_times(refuse: Callable[..., Refuse]) -> None:
    """Other refusals between two starts do not count as one."""
    starts, error = refuse(), errors.ServerDidNotStart("it ended")
    assert not starts(0, AWAY)
    assert [starts(at, error) for at in range(1, retry.MOST_STARTS + 1)] == [
        *[False] * (retry.MOST_STARTS - 1),
        True,
    ]
