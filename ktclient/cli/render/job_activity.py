"""What a running job does now, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ktclient.cli.render import terminal_text, units

if TYPE_CHECKING:
    from ktclient.records.snapshot import Snapshot


_BAR_CELLS = 12
_LEAST_WORDS = 12
"""Cells of a phase's words below which the end of the line is cut instead."""


def measured(job: Snapshot) -> tuple[str, str]:
    """The progress of the phase, or of all requests of the job: its bar and its amount, each empty
    if unknown."""
    if (parts := job.parts_progress) is not None:
        amount = f"{units.compact(parts.tokens_read)} of {units.compact(parts.tokens)} tokens"
        return _bar(parts.tokens_read / max(1, parts.tokens), ""), amount
    if job.done is None:
        return "", ""
    if job.unit == "seconds":  # a wait: a bar would show its timeout as the goal
        return "", f"{units.duration(job.done)} of {units.duration(job.total or 0)}"
    done, unit = _amount(job.done, job.unit)
    if not job.total:
        return "", f"{done} {unit.removesuffix('s') if job.done == 1 else unit}"
    amount = f"{done} of {_amount(job.total, job.unit)[0]} {unit}"
    return _bar(min(1.0, job.done / job.total), "~" if job.is_estimate else ""), amount


def _bar(share: float, about: str) -> str:
    return f"{terminal_text.bar(share, _BAR_CELLS)} {about}{share:4.0%}"


def speed(job: Snapshot) -> str:
    """The current speed in tokens per second; empty if unknown."""
    if not job.tokens_per_second:
        return ""
    about = "~" if job.is_estimate else ""
    return f"{about}{job.tokens_per_second:,.0f} tokens/s"


def remaining(job: Snapshot) -> str:
    """The estimated time until the first token, or until all its requests have ended; empty if
    unknown."""
    if (parts := job.parts_progress) is not None:
        return "" if parts.seconds_left is None else f"~{units.duration(parts.seconds_left)}"
    if job.eta_seconds is None:
        return ""
    return f"{'~' if job.is_estimate else ''}{units.duration(job.eta_seconds)}"


def _amount(number: int, unit: str | None) -> tuple[str, str]:
    if unit == "bytes":
        return f"{number / 1e6:,.1f}", "MB"
    return f"{number:,}", unit or ""


def activity(job: Snapshot, room: int | None = None, waits: str = "") -> str:
    """One line about a job that has not ended, in `room` cells; None: no limit. Without room it
    loses first the speed, then the amounts, then the bar; times stay. `waits`: why it waits, where
    that is known."""
    from ktclient.records.phases import NOT_ANSWERING, REFUSED

    if job.state == "QUEUED":
        keeps = job.blocked or waits or after(job)
        return f"queued: {terminal_text.one_line(keeps)}" if keeps else "queued"
    if job.phase == NOT_ANSWERING and job.done is not None and not job.cancel_requested:
        return (
            f"the server has not answered for {units.duration(job.done)}; giving up after "
            f"{units.duration(job.total or 0)}"
        )
    phase = "cancelling" if job.cancel_requested else _WORDS.get(job.phase or "", job.phase or "")
    elapsed = f"{units.duration(job.seconds())} elapsed"
    if phase in REFUSED and (why := job.figures.get("last_refusal")):
        return f"{phase} ({elapsed}): {terminal_text.one_line(str(why))}"
    doing = _awaited(job, phase or "starting")
    if job.parts_progress is not None and job.parts_progress.is_waiting:
        doing = f"queued, {doing}"
    return _fitted(doing, _details(job, elapsed), room)


def after(job: Snapshot) -> str:
    """The job after which this one starts; empty if there is none."""
    return f"after {job.waits_for[0]}" if job.waits_for else ""


_WORDS = {
    "preparing": "looking for the embedded server",
    "waiting": "waiting for the first token (silence is normal)",
}
"""Phase -> its words for people, where they are not the same."""


def _details(job: Snapshot, elapsed: str) -> list[tuple[int, str]]:
    """What is known of its progress, in order, each with how much it is needed."""
    bar, amount = measured(job)
    times = f"{left} · {elapsed}" if (left := _left(job)) else elapsed
    found = (
        (6, bar),
        (4, amount),
        (3, _requests(job)),
        (5, _failures(job)),
        (1, speed(job)),
        (9, times),
        (2, _cached(job) if job.eta_seconds is not None else ""),
        (7, _waiting_part(job)),
    )
    return [(need, text) for need, text in found if text]


def _fitted(doing: str, details: list[tuple[int, str]], room: int | None) -> str:
    """The line, without the details that have no room."""
    while True:
        line = "  ".join((doing, *(text for _, text in details)))
        if room is None or terminal_text.width(line) <= room:
            return line
        least = min(details, default=(9, ""))
        if least[0] == 9:
            return _shortened(doing, line, room)
        details = [one for one in details if one is not least]


def _shortened(doing: str, line: str, room: int) -> str:
    """The same where the words are too long: they are cut and the times stay."""
    times = line[len(doing) :]
    left = room - terminal_text.width(times)
    if left < _LEAST_WORDS:
        return terminal_text.shortened(line, room)
    return terminal_text.shortened(doing, left) + times


def _left(job: Snapshot) -> str:
    """The time until the first token, or until all requests of the job have ended."""
    left = remaining(job)
    if not left:
        return ""
    return f"TTFT in {left}" if job.parts_progress is None else f"{left} left"


def _awaited(job: Snapshot, phase: str) -> str:
    """The phase, with what the server reads first."""
    from ktclient.records.snapshot import PREDICTED_AS

    before = job.figures.get(PREDICTED_AS) if job.phase == "waiting" else None
    if not before or job.cancel_requested:
        return phase
    return f"waiting for the first token: {terminal_text.one_line(str(before))}"


def _cached(job: Snapshot) -> str:
    """What the server probably need not read: the time until the first token is without it."""
    from ktclient.records.snapshot import PREDICTED_CACHED

    share = job.figures.get(PREDICTED_CACHED)
    return f"cached: {int(share * 100)} %" if isinstance(share, float) else ""


def _waiting_part(job: Snapshot) -> str:
    """For a job with parts: why one of them waits."""
    if job.blocked:
        return f"its other parts wait: {terminal_text.one_line(job.blocked)}"
    why = job.figures.get("last_refusal")
    return f"a request waits: {terminal_text.one_line(str(why))}" if why else ""


def _requests(job: Snapshot) -> str:
    """Of a job with parts: how many of its requests have ended."""
    parts = job.parts_progress
    return "" if parts is None else f"{parts.ended:,} of {parts.requests:,} requests"


def _failures(job: Snapshot) -> str:
    """For a job with many requests: how many of them have failed so far."""
    parts = job.parts_progress
    failed = job.figures.get("failed") if parts is None else parts.failed
    return f"{failed:,} failed" if isinstance(failed, int) and failed else ""
