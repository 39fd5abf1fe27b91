"""What commands print: harmless on a terminal, exact in a pipe, short in a log."""

from __future__ import annotations

import io
import re
import sys
import unicodedata
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktclient.cli.render import job_activity, output, progress_line, terminal_text, units
from ktclient.cli.render import terminal as render_terminal
from ktclient.records.kinds import PartsProgress
from ktclient.records.snapshot import Snapshot

pytestmark = pytest.mark.each_python

RUNNING: dict[str, Any] = {
    "id": "kabcdefg",
    "state": "RUNNING",
    "title": "report.txt",
    "task": "summarize",
    "server": "http://127.0.0.1:40001",
    "max_tokens": 1024,
    "timeout": 3600.0,
    "attempt": 1,
    "phase": "prefill",
    "done": 1_500,
    "total": 6_000,
    "unit": "tokens",
    "cancel_requested": False,
    "cause": None,
    "message": None,
    "created_at": "2026-11-24T01:00:00.000000Z",
    "started_at": "2026-11-24T01:00:01.000000Z",
    "finished_at": "2026-11-24T01:00:10.000000Z",  # so that no clock is asked
    "phase_at": "2026-11-24T01:00:02.000000Z",
    "figures": {},
}


def job(**changes: Any) -> Snapshot:
    unsaid = dict.fromkeys(field.name for field in fields(Snapshot))
    return Snapshot(**{**unsaid, **RUNNING, **changes})


class Terminal(io.StringIO):
    """A text stream that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    "steering",
    [
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\x9b31m",
        "over\rwritten",
        "back\b\b\b\b",
        "\x00",
        "\x7f",
        "\u202egnp.exe",
        "\u2066hidden\u2069",
        "\ud83d",
    ],
)
def test_nothing_foreign_steers_a_terminal(steering: str) -> None:
    """Escapes, overwriting, reversed names and half characters are replaced, one for one."""
    shown = terminal_text.safe(f"a{steering}b")
    assert len(shown) == len(steering) + 2
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in shown)
    assert "\N{REPLACEMENT CHARACTER}" in shown


@pytest.mark.parametrize(
    "text",
    ["", "one\n\ttwo\n", "红楼梦: déjà vu 😀", "re\u0301sume\u0301", "می\u200cروم 👨\u200d👩"],
)
def test_text_stays_text(text: str) -> None:
    """Line ends, tabs and all languages."""
    assert terminal_text.safe(text) == text


def test_data_is_exact_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """An answer with escapes in it is the answer."""
    output.print_data("a\x1b[1mb")
    assert capsys.readouterr() == ("a\x1b[1mb\n", "")


def test_data_is_harmless_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answer, looked at."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    output.print_data("a\x1b[1mb\nc")
    assert terminal.getvalue() == "a\N{REPLACEMENT CHARACTER}[1mb\nc\n"


def test_messages_go_to_stderr_and_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    """Stdout carries data only; logs are read on terminals too."""
    output.note("no file \x1b[2J")
    assert capsys.readouterr() == ("", "no file \N{REPLACEMENT CHARACTER}[2J\n")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0s"),
        (0.99, "1s"),
        (9, "9s"),
        (59.9, "59s"),
        (60, "1m 00s"),
        (185, "3m 05s"),
        (3599.9, "59m 59s"),
        (3600, "1h 00m"),
        (3725, "1h 02m"),
        (90_000, "25h 00m"),
    ],
)
def test_durations_are_said_as_people_do(seconds: float, said: str) -> None:
    """Two units at most, and never 60 of one."""
    assert units.duration(seconds) == said


def test_times_are_shown_in_the_readers_zone() -> None:
    """To the second; the same moment."""
    shown = units.local_time("2026-11-24T01:02:03.456789Z")
    assert len(shown) == len("2026-11-24 01:02:03")
    assert shown.endswith(":03")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"done": None, "total": None, "unit": None}, ""),
        ({}, "███░░░░░░░░░  25%  1,500 of 6,000 tokens"),
        ({"done": 0}, "░░░░░░░░░░░░   0%  0 of 6,000 tokens"),
        ({"done": 6_000}, "████████████ 100%  6,000 of 6,000 tokens"),
        ({"done": 7_000}, "████████████ 100%  7,000 of 6,000 tokens"),
        ({"total": None}, "1,500 tokens"),
        ({"total": 0}, "1,500 tokens"),
        (
            {"done": 46_435_520, "total": 92_871_040, "unit": "bytes"},
            "██████░░░░░░  50%  46.4 of 92.9 MB",
        ),
        ({"done": 500_000, "total": None, "unit": "bytes"}, "0.5 MB"),
    ],
)
def test_progress_tells_what_is_known(changes: dict[str, Any], said: str) -> None:
    """A bar only where the whole is known, never above 100 %."""
    assert "  ".join(filter(None, job_activity.measured(job(**changes)))) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "QUEUED", "phase": None}, "queued"),
        ({"phase": None, "done": None}, "starting  9s elapsed"),
        ({"phase": "connecting", "done": None}, "connecting  9s elapsed"),
        (
            {"phase": "waiting", "done": None},
            "waiting for the first token (silence is normal)  9s elapsed",
        ),
        ({"phase": "decode", "done": 12, "total": None}, "decode  12 tokens  9s elapsed"),
        ({"phase": "waiting", "done": None, "cancel_requested": True}, "cancelling  9s elapsed"),
    ],
)
def test_one_line_says_what_a_job_does(changes: dict[str, Any], said: str) -> None:
    """In words, with progress and time; silence is explained."""
    assert job_activity.activity(job(**changes)) == said


def test_a_server_that_does_not_answer_is_told_with_its_time() -> None:
    """And until when it is waited for; in the list of jobs too, as a wait and not as a bar."""
    hung = job(phase="not answering", done=125, total=600, unit="seconds")
    assert job_activity.activity(hung) == (
        "the server has not answered for 2m 05s; giving up after 10m 00s"
    )
    assert job_activity.measured(hung) == ("", "2m 05s of 10m 00s")


def starts_of(word: str, table: str) -> set[int]:
    """At which display column a word starts in each line."""

    def width(text: str) -> int:
        plain = (c for c in text if not unicodedata.combining(c))
        return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in plain)

    return {width(line[: line.index(word)]) for line in table.splitlines()}


@pytest.mark.parametrize("name", ["a", "longer name.txt", "红楼梦.txt", "e\u0301te\u0301.txt", ""])
def test_columns_line_up_by_what_is_seen(name: str) -> None:
    """Wide characters take two places, combining accents none."""
    table = terminal_text.table([("DOCUMENT", "|"), (name, "|"), ("report.txt", "|")])
    assert len(starts_of("|", table)) == 1


def test_a_table_in_a_pipe_is_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only a terminal has a width; lines have no blanks at their ends."""
    monkeypatch.setenv("COLUMNS", "20")
    table = terminal_text.table([("A", "B"), ("x" * 100, "y" * 100), ("z", "")])
    assert "x" * 100 + "  " + "y" * 100 in table
    assert all(line == line.rstrip() for line in table.splitlines())


@pytest.mark.parametrize("cell", ["y" * 100, "红" * 100, "y红" * 50])
def test_a_table_on_a_terminal_is_cut_to_its_width(
    monkeypatch: pytest.MonkeyPatch, cell: str
) -> None:
    """Visibly, and not in the middle of a wide character."""
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "21")
    head, line = terminal_text.table([("ID", "DOCUMENT"), ("k7", cell)]).splitlines()
    assert head == "ID  DOCUMENT"
    assert line.endswith("…")
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in line)
    assert 20 <= len(line) + wide <= 21


def test_a_live_line_needs_a_terminal_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a pipe, and not in Emacs's shell."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert render_terminal.is_interactive() is False
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert render_terminal.is_interactive() is True
    monkeypatch.setenv("TERM", "dumb")
    assert render_terminal.is_interactive() is False


def test_a_log_gets_a_line_for_each_quarter(capsys: pytest.CaptureFixture[str]) -> None:
    """A hundred reports of a download are five lines, all on stderr."""
    with progress_line.line() as line:
        for percent in range(101):
            line.download("downloading", percent * 1_000_000, 100_000_000)
    out, err = capsys.readouterr()
    assert out == ""
    assert [text.strip() for text in err.splitlines()] == [
        f"downloading {done} of 100 MB" for done in (0, 25, 50, 75, 100)
    ]


def test_counted_documents_are_shown_on_a_terminal_and_not_in_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By number, not in MB."""
    with progress_line.line() as line:
        line.download("counting", 3, 30)
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_line.line() as line:
        line.download("counting", 3, 30)
    assert "counting: 3 of 30" in terminal.getvalue()


def test_a_log_gets_a_line_for_each_new_phase(capsys: pytest.CaptureFixture[str]) -> None:
    """And not for the seconds that pass in one."""
    with progress_line.line() as line:
        for phase in ("connecting", "connecting", "waiting", "waiting", "decode"):
            line.job(job(phase=phase, done=None))
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_live_line_shows_foreign_words_harmlessly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as escapes nor as markup."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_line.line() as line:
        line.download("fetching \x1b]0;x\x07 [bold]file[/bold]", 0, 1)
    assert "\x1b]0;" not in terminal.getvalue()
    assert "[bold]file[/bold]" in terminal.getvalue()


def test_speed_and_time_left_are_shown_and_an_estimate_is_marked() -> None:
    """With ~ where others share the server; nothing where nothing is known."""
    known = {"tokens_per_second": 512.4, "eta_seconds": 185.0}
    sure, guess = (
        job_activity.activity(job(**known)),
        job_activity.activity(job(**known, is_estimate=True)),
    )
    assert "512 tokens/s" in sure and "TTFT in 3m 05s" in sure and "~" not in sure
    assert "~512 tokens/s" in guess and "~3m 05s" in guess and "~ 25%" in guess
    assert "TTFT" not in job_activity.activity(job())


PARTS = PartsProgress(
    requests=7,
    ended=3,
    failed=1,
    running=2,
    queued=2,
    tokens=2_340_000,
    tokens_read=1_170_000,
    seconds_left=5400.0,
)
READING: dict[str, Any] = {
    "done": 412_345,
    "total": 781_557,
    "tokens_per_second": 523.4,
    "eta_seconds": 4_530.0,
    "figures": {"predicted_cached_share": 0.96},
}


@pytest.mark.promise
@pytest.mark.parametrize("room", [60, 80, 120])
@pytest.mark.parametrize(
    ("changes", "times"),
    [
        (READING, "TTFT in 1h 15m · 9s elapsed"),
        ({**READING, "is_estimate": True}, "TTFT in ~1h 15m · 9s elapsed"),
        ({"phase": "waiting", "done": None, "eta_seconds": 90.0}, "TTFT in 1m 30s · 9s elapsed"),
        ({"phase": "reading parts", "parts_progress": PARTS}, "~1h 30m left · 9s elapsed"),
        ({"phase": "等待" * 40, "done": None}, "9s elapsed"),
    ],
)
def test_a_live_line_fits_and_its_times_say_what_they_are(
    changes: dict[str, Any], times: str, room: int
) -> None:
    """What is needed less gives way; with enough room nothing is missing."""
    line = job_activity.activity(job(**changes), room)
    assert terminal_text.width(line) <= room and times in line
    whole = job_activity.activity(job(**changes))
    assert job_activity.activity(job(**changes), 400) == whole
    assert line == whole or terminal_text.width(whole) > room


def test_a_job_with_parts_is_one_line_of_tokens() -> None:
    """And says that it waits while none of them runs."""
    line = job_activity.activity(job(phase="reading parts", parts_progress=PARTS))
    assert line == (
        "reading parts  ██████░░░░░░  50%  1.2M of 2.3M tokens  3 of 7 requests  1 failed  "
        "~1h 30m left · 9s elapsed"
    )
    waiting = replace(PARTS, running=0, queued=4)
    line = job_activity.activity(job(phase="reading parts", parts_progress=waiting))
    assert line.startswith("queued, reading parts  ")


@given(st.text(alphabet="ab 红", max_size=120), st.integers(20, 60))
def test_a_wrapped_line_loses_no_word_and_fits(text: str, room: int) -> None:
    """Between words, and between wide characters; another word that is longer than the terminal
    stays whole."""
    line = f"  runs on    {text}"
    broken = terminal_text.wrapped(line, room)
    assert "".join(broken.split()) == "".join(line.split())
    assert re.findall("[ab]+", broken) == re.findall("[ab]+", line)
    for one in broken.splitlines():
        assert terminal_text.width(one.rstrip()) <= room or len(one.split()) <= 3


@pytest.mark.parametrize("room", [40, 60, 80])
def test_chinese_wraps_and_no_line_begins_with_its_stop(room: int) -> None:
    """In the column of the field; a full stop stays with the word before it, a bracket with the
    one after it."""
    text = "黛玉是谁。（她和宝玉）第一次见面的时候说了什么、做了什么？" * 3  # noqa: RUF001
    broken = terminal_text.wrapped(f"question   {text}", room).splitlines()
    assert "".join(line[11:] for line in broken) == text and len(broken) > 1
    assert all(terminal_text.width(line) <= room for line in broken)
    assert all(line.startswith(" " * 11) and line[11] not in "。、？）" for line in broken[1:])  # noqa: RUF001
    assert not any(line.endswith("（") for line in broken)  # noqa: RUF001


def test_an_answer_wraps_on_a_terminal_and_its_code_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Words stay whole; code and tables of Markdown stay as they came."""
    kept = ["```sh", "curl " + "-H a:b " * 20, "```", "    indented " * 9, "| a | " * 20]
    text = "\n".join([*kept, "1. The harbour silted up. " * 6])
    monkeypatch.setenv("COLUMNS", "60")
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    output.print_answer(text)
    lines = shown.getvalue().splitlines()
    assert lines[: len(kept)] == kept
    assert len(lines) > len(kept) + 2 and all(len(line) <= 60 for line in lines[len(kept) :])
    assert " ".join("\n".join(lines).split()) == " ".join(text.split())
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stdout", pipe)
    output.print_answer(text)
    assert pipe.getvalue() == f"{text}\n"


def test_fields_wrap_on_a_terminal_and_quoted_lines_and_pipes_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Words stay whole; what a server sent stays as it came."""
    text = "\n".join(
        ("because    " + "the server died " * 9, "received   3 bytes:", "  x " + "y" * 99)
    )
    monkeypatch.setenv("COLUMNS", "60")
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    output.print_lines(text)
    *because, received, quoted = shown.getvalue().splitlines()
    assert len(because) == 3 and all(len(line) <= 60 for line in because)
    assert {line[11:].split()[-1] for line in because} <= {"the", "server", "died"}
    assert all(line.startswith(" " * 11) for line in because[1:])
    assert [received, quoted] == text.split("\n")[1:]
    monkeypatch.setattr(sys, "stdout", pipe := io.StringIO())
    output.print_lines(text)
    assert pipe.getvalue() == f"{text}\n"


def test_what_follows_stands_under_the_second_column() -> None:
    """So that the first one can be read down."""
    broken = terminal_text.wrapped("  runs on    a server that is far away", 26)
    assert broken == "  runs on    a server that\n             is far away"
    assert terminal_text.wrapped("  room       fits", 80) == "  room       fits"
