"""Times to come: what people type, in which zone, around the nights when clocks are changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from ktclient.errors import BadInput
from ktclient.submission.conditions import conditions
from ktclient.times import deadline, local, parse_future

pytestmark = pytest.mark.each_python

UTC = timezone.utc
NOW = datetime(2026, 11, 25, 20, 30, tzinfo=UTC)  # 21:30 in Berlin


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("22:00", "2026-11-25T21:00:00"),
        ("21:00", "2026-11-26T20:00:00"),  # over for today
        ("6:05:07", "2026-11-26T05:05:07"),
        ("today 22:00", "2026-11-25T21:00:00"),
        ("Tomorrow 3:00", "2026-11-26T02:00:00"),
        ("+2h", "2026-11-25T22:30:00"),
        ("+1h30m", "2026-11-25T22:00:00"),
        ("+ 1d 12h", "2026-11-27T08:30:00"),
        ("+0.5h", "2026-11-25T21:00:00"),
        ("2026-12-24", "2026-12-23T23:00:00"),
        ("2026-11-26 03:00", "2026-11-26T02:00:00"),
        ("2026-11-26T03:00Z", "2026-11-26T03:00:00"),
        ("2026-11-26T03:00:00-05:00", "2026-11-26T08:00:00"),
    ],
)
def test_what_people_type(said: str, meant: str) -> None:
    """Local without a zone; UTC is kept."""
    assert parse_future(said, NOW) == datetime.fromisoformat(meant).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "said",
    ["", "soon", "25:00", "7", "+2", "+h", "-2h", "2026-02-30", "22:00 yesterday", "+9e99h"],
)
def test_what_is_no_time_is_refused_with_the_ways_to_say_one(said: str) -> None:
    """Also a time of day that no clock shows."""
    with pytest.raises(BadInput, match=r"is not a time; use .*tomorrow 3:00"):
        parse_future(said, NOW)


@pytest.mark.parametrize("said", ["today 21:00", "2026-11-25T20:29Z", "2020-01-01"])
def test_what_is_over_is_refused_with_what_was_understood(said: str) -> None:
    """Never taken for now: whoever names a day has mistyped it."""
    with pytest.raises(BadInput, match=r"20\d\d-\d\d-\d\d \d\d:\d\d:00 CET is in the past"):
        parse_future(said, NOW)


@pytest.mark.parametrize("said", ["+999999d", "+99999999999999w", "9999-12-31"])
def test_a_time_beyond_all_sense_is_refused(said: str) -> None:
    """No overflow of a calendar either."""
    with pytest.raises(BadInput):
        parse_future(said, NOW)


def test_the_night_in_spring() -> None:
    """02:30 does not exist on the day; the next 2:30 is a day later, and tomorrow's 3:00 exists."""
    eve = datetime(2027, 3, 27, 20, 0, tzinfo=UTC)
    with pytest.raises(BadInput, match="the time 02:30 on 2027-03-28 does not exist here"):
        parse_future("2027-03-28 02:30", eve)
    with pytest.raises(BadInput, match="the time 02:30"):
        parse_future("tomorrow 2:30", eve)
    assert parse_future("tomorrow 3:00", eve) == datetime(2027, 3, 28, 1, 0, tzinfo=UTC)
    after_midnight = datetime(2027, 3, 28, 0, 30, tzinfo=UTC)
    assert parse_future("2:30", after_midnight) == datetime(2027, 3, 29, 0, 30, tzinfo=UTC)


def test_the_night_in_autumn() -> None:
    """02:30 comes twice, and the first is taken; a day has 25 hours; a span is of real hours."""
    eve = datetime(2027, 10, 30, 20, 0, tzinfo=UTC)  # 22:00
    assert parse_future("tomorrow 2:30", eve) == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert parse_future("tomorrow 22:00", eve) - eve == timedelta(hours=25)
    assert parse_future("+24h", eve) - eve == timedelta(hours=24)


def test_datetimes_from_python() -> None:
    """Without a zone, local; people are shown their own clock."""
    assert parse_future(datetime(2026, 11, 26, 3), NOW) == datetime(2026, 11, 26, 2, tzinfo=UTC)
    assert parse_future(datetime(2026, 11, 26, 3, tzinfo=UTC), NOW).hour == 3
    assert local(datetime(2026, 11, 26, 2, tzinfo=UTC)) == "2026-11-26 03:00:00 CET"


@pytest.mark.parametrize("label", ["", "  ", "two\nlines", "\x1b[2Jboo", "a\u202eb", "x" * 81])
def test_a_label_is_one_short_line(label: str) -> None:
    """It is shown in every table."""
    with pytest.raises(BadInput, match="label"):
        conditions(label)


def test_what_is_kept_of_them() -> None:
    """As the store has it."""
    given = conditions(" 红楼梦, part 1 ", ["abc"], datetime(2036, 1, 2, 3, 4, 5, 6789, UTC))
    assert (given.label, given.after) == ("红楼梦, part 1", ("abc",))
    assert given.not_before == "2036-01-02T03:04:05.006Z"


@pytest.mark.parametrize("timeout", [-1.0, -0.5, float("nan"), float("-inf")])
def test_a_time_limit_that_is_none_is_refused(timeout: float) -> None:
    """Negative, or not a number: a wait with the latter would never end."""
    with pytest.raises(BadInput, match=f"^the timeout must be 0 seconds or more, not {timeout:g}$"):
        deadline(timeout)


def test_a_time_limit_counts_from_now() -> None:
    """None is no limit, and 0 is a limit."""
    assert deadline(None) is None
    before = time.monotonic()
    for seconds in (0, 2.5):
        end = deadline(seconds)
        assert end is not None and before + seconds <= end <= time.monotonic() + seconds
