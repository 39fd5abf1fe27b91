"""What a running job does now, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ktclient.cli.render import terminal_text, units

if TYPE_CHECKING:
    from ktclient.records.snapshot import Snapshot


_BAR_CELLS = 12


def progress(job: Snapshot) -> str:
    """The progress of the phase; empty if unknown."""
    if job.done is None:
        return ""
    if job.unit == "seconds":  # a wait: a bar would show its timeout as the goal
        return f"{units.duration(job.done)} of {units.duration(job.total or 0)}"
    done, unit = _amount(job.done, job.unit)
    if not job.total:
        return f"{done} {unit.removesuffix('s') if job.done == 1 else unit}"
    share = min(1.0, job.done / job.total)
    about = "~" if job.is_estimate else ""
    total = _amount(job.total, job.unit)[0]
    return f"{terminal_text.bar(share, _BAR_CELLS)} {about}{share:4.0%}  {done} of {total} {unit}"


def speed(job: Snapshot) -> str:
    """The current speed in tokens per second; empty if unknown."""
    if not job.tokens_per_second:
        return ""
    about = "~" if job.is_estimate else ""
    return f"{about}{job.tokens_per_second:,.0f} tokens/s"


def remaining(job: Snapshot) -> str:
    """The estimated time until the first token; empty if unknown."""
    if job.eta_seconds is None:
        return ""
    return f"{'~' if job.is_estimate else ''}{units.duration(job.eta_seconds)}"


def _amount(number: int, unit: str | None) -> tuple[str, str]:
    if unit == "bytes":
        return f"{number / 1e6:,.1f}", "MB"
    return f"{number:,}", unit or ""


def activity(job: Snapshot) -> str:
    """One line about a job that has not ended."""
    from ktclient.records.phases import NOT_ANSWERING, REFUSED

    if job.state == "QUEUED":
        return f"queued: {terminal_text.one_line(job.blocked)}" if job.blocked else "queued"
    words = {
        "preparing": "looking for the embedded server",
        "waiting": "waiting for the first token (silence is normal)",
    }
    if job.phase == NOT_ANSWERING and job.done is not None and not job.cancel_requested:
        return (
            f"the server has not answered for {units.duration(job.done)}; giving up after "
            f"{units.duration(job.total or 0)}"
        )
    phase = words.get(job.phase or "", job.phase or "starting")
    if job.cancel_requested:
        phase = "cancelling"
    left = remaining(job)
    if phase in REFUSED and (why := job.figures.get("last_refusal")):
        return f"{phase} ({units.duration(job.seconds())}): {terminal_text.one_line(str(why))}"
    elapsed = units.duration(job.seconds())
    parts = (
        _awaited(job, phase),
        progress(job),
        _failures(job),
        speed(job),
        f"first token in {left}, {elapsed} elapsed" if left else elapsed,
        _cached(job) if left else "",
        _waiting_part(job),
    )
    return "  ".join(part for part in parts if part)


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


def _failures(job: Snapshot) -> str:
    """For a job with many requests: how many of them have failed so far."""
    failed = job.figures.get("failed")
    return f"{failed:,} failed" if isinstance(failed, int) and failed else ""
