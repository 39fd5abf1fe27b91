r"""One line: its time, its rank and its message.

sglang writes `[YYYY-MM-DD HH:MM:SS] message`, with milliseconds under SGLANG_LOG_MS and with its
ranks in front of the bracket's end: `DP0 PP0 ATTN_CP0 MOE_DP0 TP0 EP0`, those that it has
(sglang-kt 0.7.2 utils/common.py:1216, managers/scheduler.py:3162). SGLANG_LOGGING_CONFIG_PATH
replaces all of it; uvicorn and Python write lines of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

MOST_CHARACTERS = 8192
"""Of a line that are read. No known message is half as long; a logged prompt has megabytes."""
REPLICA = "DP"
"""The rank of data parallel replicas, which serve different requests. Other ranks repeat lines."""

_COLOUR = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_STAMP = r"{}(\d\d:\d\d:\d\d)(?:[.,](\d{{1,6}}))?((?: [A-Z][A-Z_]*\d{{0,5}})*)\] ?"
_DATED = re.compile(_STAMP.format(r"\[(\d{4}-\d\d-\d\d) "), re.ASCII)
_PREFIX = re.compile(
    _STAMP.format(r"(?:\S{1,200} {0,100}\| )?\[(?:(\d{4}-\d\d-\d\d) |[^\]]{0,100}?)"), re.ASCII
)
"""`[2026-05-07 17:06:17 TP1] `, with `sglang-1  | ` before it where docker compose wrote it, and
with something else for the date where somebody configured it so."""
_RANK = re.compile(r"([A-Z_]+)(\d+)", re.ASCII)
_BAR = ("it/s]", "s/it]", "B/s]")


@dataclass(frozen=True)
class Line:
    """`text`: the message. `at`: the server's local time. `ranks`: as written, `("TP", 0)` …;
    empty for a line that no rank wrote. `is_stamped`: whether it has sglang's own prefix."""

    text: str
    at: datetime | None = None
    ranks: tuple[tuple[str, int], ...] = ()
    is_stamped: bool = False

    @property
    def replica(self) -> int:
        """The number of the data parallel replica; 0 where there is one."""
        return dict(self.ranks).get(REPLICA, 0)

    @property
    def rank(self) -> tuple[int, ...]:
        """The rank within a replica, whose ranks all write the same lines. The first is lowest."""
        return tuple(number for name, number in self.ranks if name != REPLICA)


def read(raw: str) -> Line:
    """Any text, with or without a line end."""
    text = raw[:MOST_CHARACTERS].lstrip(
        "\0"
    )  # a file truncated under its writer begins with a hole
    text = without_colours(text).rstrip("\r\n").rpartition("\r")[2]
    stamp = prefix(text) or _after_a_bar(text)
    if stamp is None:
        return Line(text)
    ranks = tuple((name, int(number)) for name, number in _RANK.findall(stamp[4]))
    at = _time(stamp[1], stamp[2], stamp[3])
    return Line(text[stamp.end() :], at, ranks, is_stamped=True)


def without_colours(text: str) -> str:
    """The text without terminal escapes."""
    return _COLOUR.sub("", text) if "\x1b" in text else text


def prefix(text: str) -> re.Match[str] | None:
    """What stands before the message: groups date (or None), time, fraction and ranks, these as
    written, ` DP0 TP1`. None where the line has no such prefix."""
    return _PREFIX.match(text)


def _after_a_bar(text: str) -> re.Match[str] | None:
    """tqdm ends its bar without a line end, and the next message is glued to it."""
    found = _DATED.search(text)
    return found if found and text[: found.start()].rstrip().endswith(_BAR) else None


def _time(day: str | None, second: str, fraction: str | None) -> datetime | None:
    if day is None:
        return None
    try:
        at = datetime.strptime(f"{day} {second}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None  # a month 13
    return at.replace(microsecond=int((fraction or "").ljust(6, "0")[:6]))
