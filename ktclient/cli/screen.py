"""What commands print: plain text for pipes, safe text for terminals."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from datetime import datetime

from ktclient.snapshot import Snapshot

_BAR_CELLS = 12


def say(message: str) -> None:
    """A line for people, on stderr: stdout carries data only."""
    print(safe(message), file=sys.stderr, flush=True)


def put(text: str) -> None:
    """Data, on stdout. Raw into a pipe or a file; without control characters on a terminal."""
    print(safe(text) if sys.stdout.isatty() else text, flush=True)


def pour(text: str) -> None:
    """A stretch of data, on stdout: as `put`, without a line end of its own."""
    print(safe(text) if sys.stdout.isatty() else text, end="", flush=True)


def safe(text: str) -> str:
    """The text without characters that could steer a terminal: model output and file names are
    not ours. Line ends and tabs stay."""
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
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
    filled = int(share * _BAR_CELLS)
    about = "~" if job.is_estimate else ""
    bar = "█" * filled + "░" * (_BAR_CELLS - filled)
    return f"{bar} {about}{share:4.0%}  {done} of {_amount(job.total, job.unit)[0]} {unit}"


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
    if job.phase == "not answering" and job.done is not None and not job.cancel_requested:
        return (
            f"the server has not answered for {duration(job.done)}; still waiting, until "
            f"{duration(job.total or 0)}"
        )
    phase = words.get(job.phase or "", job.phase or "starting")
    if job.cancel_requested:
        phase = "cancelling"
    left = remaining(job)
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
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(_padded(cell, size) for cell, size in zip(row, widths, strict=True))
        for row in rows
    ]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return "\n".join(_cut(line.rstrip(), room) for line in lines)


def _width(text: str) -> int:
    seen = (character for character in text if not unicodedata.combining(character))
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in seen)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _cut(line: str, room: int | None) -> str:
    if room is None or _width(line) <= room:
        return line
    while line and _width(line) > room - 1:
        line = line[:-1]
    return line + "…"


def is_interactive() -> bool:
    """Whether a live line may be drawn on stderr."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
