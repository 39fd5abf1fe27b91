"""Jobs as a table: the content of each column, and which columns are dropped first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ktclient.cli.render import job_activity, terminal_text, units
from ktclient.cli.render.columns import Column, drawn

if TYPE_CHECKING:
    from ktclient.records.snapshot import Snapshot

STATE_STYLES = {
    "RUNNING": "running",
    "SUCCEEDED": "good",
    "FAILED": "bad",
    "LOST": "bad",
    "CANCELLED": "odd",
}
_BAR_CELLS = 10
_NAME = 16
"""The minimum width of a document's name in cells; half of it on a narrow terminal."""
_NOBODY: Mapping[str, str] = {}


def of_jobs(
    jobs: Sequence[Snapshot],
    room: int | None,
    *,
    coloured: bool,
    waits: Mapping[str, str] = _NOBODY,
    submitted: bool = False,
    found: Sequence[str] = (),
) -> list[str]:
    """The lines of the table, titles first.

    `room` is the width in cells, None for no limit. `waits` holds, by id, why a job waits. With
    `submitted`, there is a column for that time. `found` holds the search hit of each job.
    """
    states = [STATE_STYLES.get(job.state, "") for job in jobs]
    name = _NAME if room is None or room >= 3 * _NAME else _NAME // 2
    columns = [
        Column("ID", [job.id for job in jobs], 100),
        Column("STATE", [job.state for job in jobs], 100, styles=states),
        Column("SUBMITTED", [_minute(job) if submitted else "" for job in jobs], 45),
        Column("PHASE", [_phase(job, waits.get(job.id, "")) for job in jobs], 80, least=18),
        Column("PROGRESS", [_progress(job) for job in jobs], 70),
        Column("SPEED", list(map(job_activity.speed, jobs)), 20),
        Column("ETA", list(map(job_activity.remaining, jobs)), 60, is_right=True),
        Column("IN", list(map(_read, jobs)), 40, is_right=True),
        Column("OUT", list(map(_written, jobs)), 35, is_right=True),
        Column("ELAPSED", [_elapsed(job) for job in jobs], 50, is_right=True),
        Column("SERVER", _servers(jobs), 30, least=24),
        Column("PARENT", [job.parent or "" for job in jobs], 85),
        Column("GROUP", [job.group or "" for job in jobs], 33),
        Column("LABEL", [job.label or "" for job in jobs], 55, least=8),
        Column("DOCUMENT", [job.title for job in jobs], 90, least=name, cut_in_middle=True),
        Column("FOUND", list(found) or [""] * len(jobs), 95, least=40),
    ]
    return drawn(columns, room, coloured=coloured)


def _minute(job: Snapshot) -> str:
    return units.local_time(job.created_at)[:-3]


def _phase(job: Snapshot, waits: str) -> str:
    """The phase of a running job, why a queued one waits, or the cause of a failed one; of one that
    did not run here, that it was imported."""
    if job.imported:
        return ", ".join(filter(None, ("imported", job.cause)))
    if job.cancel_requested:
        return "cancelling"
    if job.state == "RUNNING":
        return job.phase or ""
    if job.state == "QUEUED":
        return waits
    return (job.cause or "") if job.state in ("FAILED", "LOST") else ""


def _progress(job: Snapshot) -> str:
    """A bar if the total is known, else the amount so far."""
    if job.state != "RUNNING" or job.done is None or job.phase == "decode":
        return ""
    if job.unit == "seconds":  # a wait: a bar would show its timeout as the goal
        return units.duration(job.done)
    if not job.total:
        return f"{units.compact(job.done)} {job.unit or ''}".rstrip()
    about = "~" if job.is_estimate else ""
    share = min(1.0, job.done / job.total)
    return f"{terminal_text.bar(share, _BAR_CELLS)} {f'{about}{share:.0%}':>5}"


def _read(job: Snapshot) -> str:
    """The tokens of the prompt: as the server counted them, else as counted at submit."""
    counted = job.figures.get("prompt_tokens")
    if isinstance(counted, int):
        return units.compact(counted)
    if not job.counted:
        return ""
    least, likely, most = job.counted
    return f"{'' if least == most else '~'}{units.compact(likely)}"


def _written(job: Snapshot) -> str:
    written = job.figures.get("completion_tokens")
    if written is None and job.state == "RUNNING" and job.phase == "decode":
        written = job.done
    return units.compact(written) if isinstance(written, int) else ""


def _elapsed(job: Snapshot) -> str:
    return units.duration(job.seconds()) if job.started_at else ""


def _servers(jobs: Sequence[Snapshot]) -> list[str]:
    """The server of each job; empty if all jobs are on the same one."""
    if len({job.server for job in jobs}) < 2:
        return [""] * len(jobs)
    return [job.server.partition("://")[2] or job.server for job in jobs]
