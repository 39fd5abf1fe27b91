"""What commands print: plain text for pipes, safe text for terminals."""

from __future__ import annotations

import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from datetime import datetime

from ktclient.cli import standard_streams
from ktclient.records.snapshot import NOT_ANSWERING, WAITING_FOR_SERVER, Snapshot

_BAR_CELLS = 12
_HARMLESS = "\n\t\u00ad\u200c\u200d"
"""Of what Unicode calls control and format: line ends, tabs, soft hyphens, and the joiners without
which Persian, Indic scripts and families of emoji fall apart."""
_FIRST_COLUMN = re.compile(r" {2,}(?:[A-Za-z]+(?: [a-z]+)? {2,})?")
_NO_PLACE = ("Mn", "Me", "Cf")


def say(message: str) -> None:
    """A line for people, on stderr: stdout carries data only."""
    text = safe(message)
    if sys.stderr.isatty():
        room = shutil.get_terminal_size().columns
        text = "\n".join(wrapped(line, room) for line in text.split("\n"))
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError as error:  # words for people on a full disk: no reason to end
        if not standard_streams.is_lost(error):
            raise
        standard_streams.silence(sys.stderr)


def wrapped(line: str, room: int) -> str:
    """A line broken between words, what follows under its second column where it has one."""
    if width(line) <= room:
        return line
    head = _FIRST_COLUMN.match(line)
    indent = len(head[0]) if head else 0
    lines = [line[:indent]]
    for word in line[indent:].split(" "):
        is_first = len(lines[-1]) == indent
        if not is_first and width(f"{lines[-1]} {word}") > room:
            lines.append(" " * indent)
            is_first = True
        lines[-1] += word if is_first else f" {word}"
    return "\n".join(lines)


def put(text: str) -> None:
    """Data, on stdout. Raw into a pipe or a file; without control characters on a terminal."""
    print(safe(text) if sys.stdout.isatty() else text, flush=True)


def pour(text: str) -> None:
    """A stretch of data, on stdout: as `put`, without a line end of its own."""
    print(safe(text) if sys.stdout.isatty() else text, end="", flush=True)


def safe(text: str) -> str:
    """The text without characters that could steer a terminal: model output and file names are
    not ours."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in _HARMLESS or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def one_line(text: str) -> str:
    """Safe, and without line ends: for names."""
    return " ".join(safe(text).split())


def duration(seconds: float) -> str:
    """Seconds as people say them: 9s, 3m 05s, 1h 02m."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"


def local_time(utc: str) -> str:
    """A stored time in the reader's time zone, to the second."""
    moment = datetime.fromisoformat(utc.replace("Z", "+00:00")).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def progress(job: Snapshot) -> str:
    """How far the phase is; empty when nobody knows."""
    if job.done is None:
        return ""
    if job.unit == "seconds":  # a wait: its end is no aim
        return f"{duration(job.done)} of {duration(job.total or 0)}"
    done, unit = _amount(job.done, job.unit)
    if not job.total:
        return f"{done} {unit}"
    share = min(1.0, job.done / job.total)
    about = "~" if job.is_estimate else ""
    total = _amount(job.total, job.unit)[0]
    return f"{bar(share, _BAR_CELLS)} {about}{share:4.0%}  {done} of {total} {unit}"


def speed(job: Snapshot) -> str:
    """Tokens per second now; empty when nobody knows."""
    if not job.tokens_per_second:
        return ""
    about = "~" if job.is_estimate else ""
    return f"{about}{job.tokens_per_second:,.0f} tokens/s"


def remaining(job: Snapshot) -> str:
    """The time until the first word; empty when nobody knows."""
    if job.eta_seconds is None:
        return ""
    return f"{'~' if job.is_estimate else ''}{duration(job.eta_seconds)}"


def _amount(number: int, unit: str | None) -> tuple[str, str]:
    if unit == "bytes":
        return f"{number / 1e6:,.1f}", "MB"
    return f"{number:,}", unit or ""


def activity(job: Snapshot) -> str:
    """One line about a job that has not ended."""
    if job.state == "QUEUED":
        return "queued"
    words = {
        "preparing": "looking for the embedded server",
        "waiting": "waiting for the first token (silence is normal)",
        "decode": "writing",
    }
    if job.phase == NOT_ANSWERING and job.done is not None and not job.cancel_requested:
        return (
            f"the server has not answered for {duration(job.done)}; still waiting, until "
            f"{duration(job.total or 0)}"
        )
    phase = words.get(job.phase or "", job.phase or "starting")
    if job.cancel_requested:
        phase = "cancelling"
    left = remaining(job)
    if phase == WAITING_FOR_SERVER and (why := job.figures.get("last_refusal")):
        return f"{phase} ({duration(job.seconds())}): {one_line(str(why))}"
    parts = (
        phase,
        progress(job),
        _failures(job),
        speed(job),
        f"first word in {left}" if left else "",
        duration(job.seconds()),
    )
    return "  ".join(part for part in parts if part)


def _failures(job: Snapshot) -> str:
    """Of a job of many requests, how many of them have failed so far."""
    failed = job.figures.get("failed")
    return f"{failed:,} failed" if isinstance(failed, int) and failed else ""


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned by display width, cut to the terminal's when there is one."""
    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True))
        for row in rows
    ]
    most = room()
    cut = (line if most is None else shortened(line, most) for line in map(str.rstrip, lines))
    return "\n".join(cut)


def width(text: str) -> int:
    """Places on a terminal: two of a wide character, none of an accent or a variation selector."""
    if text.isascii():
        return len(text)
    seen = (one for one in text if unicodedata.category(one) not in _NO_PLACE)
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in seen)


def shortened(text: str, room: int, *, in_middle: bool = False) -> str:
    """The text in so many places, with a sign where something was left out: at its end, or in its
    middle, so that a name keeps its extension."""
    if width(text) <= room:
        return text
    sign = _glyph("…", "~")
    tail = "" if not in_middle else _from_end(text, (room - 1) // 3)
    left = room - 1 - width(tail)
    head = text[: max(0, left)]
    while head and width(head) > left:
        head = head[:-1]
    return f"{head}{sign}{tail}"


def _from_end(text: str, room: int) -> str:
    tail = text[-room:] if room else ""
    while tail and (width(tail) > room or unicodedata.category(tail[0]) in _NO_PLACE):
        tail = tail[1:]
    return tail


def bar(share: float, cells: int) -> str:
    """How much of a whole is there."""
    filled = int(share * cells)
    return _glyph("█", "#") * filled + _glyph("░", ".") * (cells - filled)


def short(number: int) -> str:
    """A number in four places or so: 812, 9.8K, 781K, 1.2M."""
    for size, sign in ((1_000_000, "M"), (1_000, "K")):
        if number >= size * 0.9995:
            return (
                f"{number / size:.1f}{sign}"
                if number < size * 9.95
                else f"{number / size:.0f}{sign}"
            )
    return str(number)


def _glyph(glyph: str, plain: str) -> str:
    """The glyph, where stdout's encoding has it."""
    try:
        glyph.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return plain
    return glyph


def room() -> int | None:
    """The places of a line on the terminal that stdout is; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def is_dumb() -> bool:
    return os.environ.get("TERM") == "dumb"


def is_interactive() -> bool:
    """Whether a live line may be drawn on stderr."""
    return sys.stderr.isatty() and not is_dumb()


def can_redraw() -> bool:
    """Whether stdout is a terminal on which what was drawn can be drawn again."""
    return sys.stdout.isatty() and not is_dumb()


def is_coloured() -> bool:
    """Whether stdout is to have colours. NO_COLOR (no-color.org) wins over FORCE_COLOR
    (force-color.org), and that over TERM=dumb and a pipe: the order of CPython's `_colorize`."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return can_redraw()


STYLES = {"title": "1", "running": "1;36", "good": "32", "bad": "1;31", "odd": "35", "mark": "1"}
"""Of the 16 colours that a terminal's theme makes readable on its own background: neither yellow,
which is lost on white, nor blue and grey, which are on black. Each stands beside its word."""


def painted(text: str, style: str) -> str:
    """The text, which must be harmless already, in a style."""
    if not style or not text:
        return text
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m"


def put_painted(text: str) -> None:
    """Lines made by `painted`, on stdout, as they are: all foreign in them is harmless."""
    print(text, flush=True)
