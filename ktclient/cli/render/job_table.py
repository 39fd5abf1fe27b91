"""Jobs as a table: the content of each column, and which columns are dropped first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jobs import clock
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
_WIDE = 120
"""The width in cells from which there is room for bars."""
_NAME = 16
"""The minimum width of a document's name in cells; half of it on a narrow terminal."""
_QUESTION = 30
"""The minimum width of a question; a fifth of a narrower terminal."""
_NEED, _NEED_BESIDE, _NEED_OF_REPEATED = 90, 65, 15
"""How much a column of questions or names is needed; names beside questions; one text repeated."""
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
    now, is_wide = clock.now(), room is None or room >= _WIDE
    states = [STATE_STYLES.get(job.shown_state, "") for job in jobs]
    reasons = [_reason(job, waits.get(job.id, "")) for job in jobs]
    columns = [
        Column("ID", [job.id for job in jobs], 100),
        Column("STATE", [job.shown_state for job in jobs], 100, styles=states),
        Column("AGE", [_age(job, now) for job in jobs], 100, is_right=True),
        Column("SUBMITTED", [_minute(job) if submitted else "" for job in jobs], 45),
        Column("PHASE", list(map(_phase, jobs)), 80, least=8),
        Column("REASON", reasons, 82, least=17 if is_wide else 12),
        Column("PROGRESS" if is_wide else "DONE", [_progress(job, is_wide) for job in jobs], 70),
        Column("SPEED", list(map(job_activity.speed, jobs)), 20),
        Column("ETA", list(map(job_activity.remaining, jobs)), 68, is_right=True),
        Column("IN", list(map(_read, jobs)), 40, is_right=True),
        Column("OUT", list(map(_written, jobs)), 35, is_right=True),
        Column("ELAPSED", [_elapsed(job) for job in jobs], 50, is_right=True),
        Column("SERVER", _servers(jobs), 30, least=24),
        Column("PARENT", [job.parent or "" for job in jobs], 85),
        Column("GROUP", _groups(jobs), 33),
        Column("LABEL", [job.label or "" for job in jobs], 55, least=8),
        *_texts(jobs, room, is_wide),
        Column("FOUND", list(found) or [""] * len(jobs), 95, least=40),
    ]
    return drawn(columns, room, coloured=coloured)


def _texts(jobs: Sequence[Snapshot], room: int | None, is_wide: bool) -> list[Column]:
    """The questions and the documents: first those that tell the jobs apart."""
    questions, titles = _questions(jobs), [job.title for job in jobs]
    if not is_wide and _is_repeated(titles) and _tells_apart(questions):
        titles = [""] * len(jobs)
    of_questions = _need(questions, titles, _NEED)
    of_titles = _need(titles, questions, _NEED_BESIDE if _tells_apart(questions) else _NEED)
    name = _NAME if room is None or room >= 3 * _NAME else _NAME // 2
    least = _QUESTION if room is None else max(name, min(_QUESTION, room // 5))
    return [
        Column("QUESTION", questions, of_questions, least=least, is_told_apart=True),
        Column("DOCUMENT", titles, of_titles, least=name, cut_in_middle=True),
    ]


def _minute(job: Snapshot) -> str:
    return units.local_time(job.created_at)[:-3]


def _age(job: Snapshot, now: str) -> str:
    """The time since it was submitted."""
    return units.age(clock.seconds_between(job.created_at, now))


def _questions(jobs: Sequence[Snapshot]) -> list[str]:
    """What each job asks, in its task's name if that is no question; empty if none asks any."""
    if not any(job.questions for job in jobs):
        return [""] * len(jobs)
    return ["; ".join(job.questions) or job.task for job in jobs]


def _need(texts: Sequence[str], beside: Sequence[str], otherwise: int) -> int:
    """How much a column is needed that may say the same in each row, `beside` one that does not."""
    if _is_repeated(texts) and _tells_apart(beside):
        return _NEED_OF_REPEATED
    return otherwise


def _is_repeated(texts: Sequence[str]) -> bool:
    return len(texts) > 1 and len(set(texts)) == 1


def _tells_apart(texts: Sequence[str]) -> bool:
    """Whether these texts say something, and not the same in each of several rows."""
    return not set(texts) <= {""} and not _is_repeated(texts)


def _phase(job: Snapshot) -> str:
    """The phase of a running job. That of a group is its progress."""
    if job.cancel_requested:
        return "cancelling"
    return (job.phase or "") if job.shown_state == "RUNNING" and job.unit != "jobs" else ""


def _reason(job: Snapshot, waits: str) -> str:
    """Why a queued job waits, or the cause of a failed one; of one that did not run here, that it
    was imported."""
    if job.imported:
        return ", ".join(filter(None, ("imported", job.cause)))
    if job.shown_state == "QUEUED":
        return waits or _waits_for(job)
    return (job.cause or "") if job.state in ("FAILED", "LOST") else ""


def _waits_for(job: Snapshot) -> str:
    """The reason as far as the job itself says it."""
    from ktclient.records import blocks

    if job.blocked_by is not None:
        return blocks.word(job.blocked_by)
    return job_activity.after(job)


def _progress(job: Snapshot, is_wide: bool) -> str:
    """The share of the work that is done, with a bar if there is room; the amount so far if the
    total is unknown; of a group, how many jobs have ended."""
    if job.unit == "jobs" and job.done is not None and not job.is_finished:
        ended, total = job.done, job.total or 0
        return f"{ended:,} of {total:,} done" if is_wide else f"{ended:,}/{total:,}"
    if (parts := job.parts_progress) is not None:
        return _share(parts.tokens_read / max(1, parts.tokens), "", is_wide)
    if job.state != "RUNNING" or job.done is None or job.phase == "decode":
        return ""
    if job.unit == "seconds":  # a wait: a bar would show its timeout as the goal
        return units.duration(job.done)
    if not job.total:
        return f"{units.compact(job.done)} {job.unit or ''}".rstrip()
    about = "~" if job.is_estimate else ""
    return _share(min(1.0, job.done / job.total), about, is_wide)


def _share(share: float, about: str, is_wide: bool) -> str:
    if not is_wide:
        return f"{about}{share:.0%}"
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


def _groups(jobs: Sequence[Snapshot]) -> list[str]:
    """The group of each job; empty if all jobs are of the same one."""
    groups = [job.group or "" for job in jobs]
    return groups if len(set(groups)) > 1 else [""] * len(jobs)


def _servers(jobs: Sequence[Snapshot]) -> list[str]:
    """The server of each job; empty if all jobs are on the same one."""
    if len({job.server for job in jobs}) < 2:
        return [""] * len(jobs)
    return [job.server.partition("://")[2] or job.server for job in jobs]
