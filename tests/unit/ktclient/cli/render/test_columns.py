"""The table of jobs: columns appear when they matter, give way when there is little room, and
nothing in them steers a terminal."""

from __future__ import annotations

import dataclasses
import io
import re
import sys
from typing import Any

import pytest

from ktclient.cli.render import job_table, terminal, terminal_text, units
from ktclient.cli.render.columns import Column, drawn
from ktclient.records.kinds import PartsProgress
from ktclient.records.snapshot import Snapshot

pytestmark = pytest.mark.each_python

ANSI = re.compile(r"\x1b\[[0-9;]*m")
SERVERS = ("http://127.0.0.1:40001", "http://gpu2.lan:30000")
DONE: dict[str, Any] = {
    "id": "kabcdefg",
    "state": "SUCCEEDED",
    "title": "report.txt",
    "task": "summarize",
    "server": SERVERS[0],
    "max_tokens": 1024,
    "timeout": 3600.0,
    "attempt": 1,
    "max_attempts": 2,
    "phase": "decode",
    "done": 600,
    "total": None,
    "unit": "tokens",
    "cancel_requested": False,
    "cause": None,
    "message": None,
    "created_at": "2026-11-24T01:00:00.000Z",
    "started_at": "2026-11-24T01:00:01.000Z",
    "finished_at": "2026-11-24T01:26:01.000Z",
    "phase_at": "2026-11-24T01:00:02.000Z",
    "figures": {"prompt_tokens": 781557, "completion_tokens": 600},
    "tokens_per_second": None,
    "eta_seconds": None,
    "progress_source": None,
    "is_estimate": False,
}


def job(**changes: Any) -> Snapshot:
    return Snapshot(**{**DONE, **changes})


READING = job(
    state="RUNNING",
    phase="prefill",
    done=300_000,
    total=781_557,
    figures={},
    counted=(781_557, 781_557, 781_557),
    tokens_per_second=523.4,
    eta_seconds=1000.0,
    label="nightly",
    server=SERVERS[1],
)
ALL = ["ID", "STATE", "AGE", "PHASE", "PROGRESS", "SPEED", "ETA", "IN", "OUT", "ELAPSED"]
ALL += ["SERVER", "LABEL", "DOCUMENT"]


def titles(lines: list[str]) -> list[str]:
    return lines[0].split()


def test_a_column_appears_only_when_it_has_something_to_say() -> None:
    """Of jobs that are done, on one server, without a label: neither PHASE nor SERVER."""
    lines = job_table.of_jobs([job(), job(id="kbbbbbbb")], None, coloured=False)
    assert titles(lines) == ["ID", "STATE", "AGE", "IN", "OUT", "ELAPSED", "DOCUMENT"]
    assert re.fullmatch(r"kabcdefg  SUCCEEDED  +\d+d  782K  600  26m 00s  report.txt", lines[1])
    assert titles(job_table.of_jobs([job(), READING], None, coloured=False)) == ALL


@pytest.mark.parametrize("room", [200, 120, 80, 60, 40])
def test_nothing_wraps_and_the_least_needed_goes_first(room: int) -> None:
    """Ids, states and ages are always whole, and something is left of the name. What a job does,
    and why it does nothing, have a column each."""
    title = "a very long name of a document " * 10 + "红楼梦.txt"
    failed = job(id="kccccccc", state="FAILED", cause="proxy_gave_up", figures={}, title=title)
    queued = job(id="kddddddd", state="QUEUED", started_at=None, finished_at=None, figures={})
    jobs = [READING, failed, queued, job()]
    lines = job_table.of_jobs(jobs, room, coloured=False, waits={"kddddddd": "behind kabcdefg"})
    assert all(terminal_text.width(line) <= room for line in lines)
    shown = titles(lines)
    columns = [*ALL[:4], "REASON", *ALL[4:]]
    columns[columns.index("PROGRESS")] = "PROGRESS" if room >= 120 else "DONE"
    assert shown == [name for name in columns if name in shown]
    assert {"ID", "STATE", "AGE", "DOCUMENT"} <= set(shown)
    assert shown == columns or room < 200
    assert "SPEED" not in shown or room > 80
    assert "REASON" in shown or room < 60
    for one, line in zip(jobs, lines[1:], strict=True):
        assert re.match(rf"{one.id}  {one.state} +\d+d", line)
    if "REASON" in shown:
        at = lines[0].index("REASON")
        told = [line[at:].split("  ")[0].rstrip("…") for line in lines[2:4]]
        whole = ("proxy_gave_up", "behind kabcdefg")
        assert all(
            len(one) >= 11 and full.startswith(one) for one, full in zip(told, whole, strict=True)
        )
    assert lines[2].endswith(".txt" if room > 40 else "xt") and "…" in lines[2]


def asking(number: int, **changes: Any) -> Snapshot:
    question = f"What happened in month {number} of the year on the river?"
    return job(id=f"k{number:07}", questions=(question,), **changes)


@pytest.mark.parametrize("room", [60, 80, 120])
def test_questions_tell_the_rows_of_one_document_apart(room: int) -> None:
    """Where they are too long, by what differs; the name that is the same in each row goes
    first."""
    lines = job_table.of_jobs([asking(number) for number in range(1, 31)], room, coloured=False)
    assert all(terminal_text.width(line) <= room for line in lines)
    assert {"AGE", "QUESTION"} <= set(titles(lines)) and ("DOCUMENT" in lines[0]) == (room > 80)
    for number, line in enumerate(lines[1:], 1):
        assert f"month {number} of" in line or f"… {number} of" in line
    files = [job(title=f"{name}.txt", questions=("What is new?",)) for name in "ab"]
    lines = job_table.of_jobs(files, 60, coloured=False)
    assert "a.txt" in lines[1] and "b.txt" in lines[2]


WORK = PartsProgress(
    requests=7,
    ended=2,
    failed=0,
    running=2,
    queued=2,
    tokens=36_000,
    tokens_read=9_000,
    seconds_left=330.0,
)
SPLIT: dict[str, Any] = {
    "state": "RUNNING",
    "phase": "reading parts",
    "done": 2,
    "total": 7,
    "unit": "parts",
    "figures": {},
    "finished_at": None,
    "questions": ("Who pays?",),
}


@pytest.mark.parametrize(("room", "shown"), [(60, "25%"), (80, "25%"), (120, "██░░░░░░░░ 25%")])
def test_a_split_job_shows_its_tokens_and_is_queued_while_no_part_runs(
    room: int, shown: str
) -> None:
    """With the time until all is done, and no count of parts beside it."""
    (line,) = job_table.of_jobs([job(**SPLIT, parts_progress=WORK)], room, coloured=False)[1:]
    assert "RUNNING" in line and "reading" in line and shown in line
    assert "~5m 30s" in line and "2 of 7" not in line
    waiting = job(**SPLIT, parts_progress=dataclasses.replace(WORK, running=0, queued=4))
    assert waiting.state == "RUNNING" and waiting.shown_state == "QUEUED"
    waits = {waiting.id: "behind kbbbbbbb"}
    lines = job_table.of_jobs([waiting], room, coloured=False, waits=waits)
    assert "QUEUED" in lines[1] and "behind kbbbbbbb" in lines[1]


@pytest.mark.parametrize(("room", "shown"), [(80, "18/30"), (120, "18 of 30 done")])
def test_a_group_has_one_count_and_no_phase(room: int, shown: str) -> None:
    """It is no phase."""
    group = job(
        state="RUNNING", phase="18 of 30 done", done=18, total=30, unit="jobs", finished_at=None
    )
    lines = job_table.of_jobs([group], room, coloured=False)
    assert shown in lines[1] and "PHASE" not in titles(lines) and "%" not in lines[1]


def test_an_age_is_short() -> None:
    """Three characters or four."""
    seconds = (-1, 0, 59.9, 60, 3599, 3600, 86399, 86400, 86400 * 400)
    told = ["0s", "0s", "59s", "1m", "59m", "1h", "23h", "1d", "400d"]
    assert list(map(units.age, seconds)) == told


def test_columns_line_up_by_what_is_seen() -> None:
    """Wide characters, accents, joiners and selectors."""
    labels = ["a", "红楼梦", "e\u0301te\u0301", "☁\ufe0f", "\u0645\u06cc\u200c"]
    lines = drawn([Column("LABEL", labels, 1), Column("END", ["|"] * len(labels), 100)], None)
    assert len({terminal_text.width(line[: line.index("|")]) for line in lines[1:]}) == 1


def test_what_is_left_out_is_seen() -> None:
    """In the middle a name keeps its extension."""
    assert terminal_text.shortened("report-of-the-year.txt", 13, in_middle=True) == "report-o….txt"
    assert terminal_text.shortened("report-of-the-year.txt", 12).endswith("…")
    assert terminal_text.shortened("红楼梦红楼梦", 7) == "红楼梦…"
    assert terminal_text.shortened("short", 5) == "short"


def test_numbers_are_short() -> None:
    """Three figures and a sign."""
    numbers = (0, 812, 999, 1000, 9_949, 9_999, 781_557, 999_499, 999_999, 1_240_000, 12_000_000)
    told = ["0", "812", "999", "1.0K", "9.9K", "10K", "782K", "999K", "1.0M", "1.2M", "12M"]
    assert list(map(units.compact, numbers)) == told


def test_colours_stand_beside_words_and_change_no_width() -> None:
    """Without its colours the table is the plain one."""
    jobs = [job(state=state) for state in ("SUCCEEDED", "FAILED", "LOST", "CANCELLED", "QUEUED")]
    plain = job_table.of_jobs([*jobs, READING], 80, coloured=False)
    painted = job_table.of_jobs([*jobs, READING], 80, coloured=True)
    assert [ANSI.sub("", line) for line in painted] == plain
    assert "\x1b[32mSUCCEEDED" in painted[1] and "\x1b" in painted[2]
    dark_or_light = {"33", "34", "90", "37", "97", "30"}
    assert all(dark_or_light.isdisjoint(style.split(";")) for style in terminal.STYLES.values())


def test_a_foreign_word_in_a_cell_steers_nothing() -> None:
    """Names, labels and servers are not ours."""
    evil = "a\x1b[2J\nb\tc\u202e"
    lines = job_table.of_jobs([job(title=evil, label=evil)], None, coloured=True)
    assert len(lines) == 2
    assert "\x1b[2J" not in "".join(lines) and "\u202e" not in "".join(lines)


class Terminal(io.StringIO):
    """A text stream that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "on_terminal", "in_pipe"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_who_gets_colours(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    on_terminal: bool,
    in_pipe: bool,
) -> None:
    """Terminals, unless they cannot or may not."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert terminal.is_coloured() is on_terminal
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert terminal.is_coloured() is in_pipe


def test_an_encoding_without_bars_gets_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latin-1 knows no blocks."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert terminal_text.bar(0.5, 4) == "##.."
    assert terminal_text.shortened("report.txt", 5) == "repo~"
