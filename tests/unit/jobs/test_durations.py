"""Durations as text, and that no message has its own way to print one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobs import durations
from ktclient import wording
from ktclient.cli.render import units

_PRINTED = re.compile(r"\{(?![^{}]*[A-Z]{3})[^{}]*:[,.0-9]*[fg]\} ?(?:s\b|seconds\b)")
"""A number of seconds with a format of its own; constants, in capitals, are as their author saw
them. The one of a warm-up shows a tenth and is never under one."""


@pytest.mark.parametrize(
    ("seconds", "exact", "rough", "spoken", "short", "age"),
    [
        (0, "0", "0", "0 s", "0s", "0s"),
        (0.0004, "0.0004", "<0.001", "<0.001 s", "<0.001s", "<1s"),
        (0.02, "0.02", "0.02", "0.02 s", "0.02s", "<1s"),
        (0.25, "0.25", "0.2", "0.2 s", "0.2s", "<1s"),
        (0.5, "0.5", "0.5", "0.5 s", "0.5s", "<1s"),
        (0.97, "0.97", "1", "1 s", "1s", "<1s"),
        (1.5, "1.5", "2", "2 s", "1s", "1s"),
        (59, "59", "59", "59 s", "59s", "59s"),
        (3600, "3,600", "3,600", "60 min", "1h 00m", "1h"),
    ],
)
def test_no_time_is_shown_as_nothing(
    seconds: float, exact: str, rough: str, spoken: str, short: str, age: str
) -> None:
    """A limit is shown as it was set, a measured time shortly."""
    assert durations.exact(seconds) == exact and durations.rough(seconds) == rough
    assert durations.typed(seconds) == exact.replace(",", "")
    assert (wording.spoken(seconds), units.duration(seconds)) == (spoken, short)
    assert units.age(seconds) == age


def test_seconds_are_printed_by_this_module_alone() -> None:
    """With `:.0f` a limit of half a second would be "0 s" again."""
    root = Path(durations.__file__).parents[1]
    found = [
        f"{file.relative_to(root)}: {line.strip()}"
        for room in ("jobs", "ktclient", "server_bundle")
        for file in sorted((root / room).rglob("*.py"))
        for line in file.read_text().splitlines()
        if _PRINTED.search(line) and file.name not in ("durations.py", "readiness.py")
    ]
    assert found == []
