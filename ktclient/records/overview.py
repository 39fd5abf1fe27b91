"""The data of `ktjob status`: running jobs, queued jobs with the reason, recent jobs; bounded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from jobs import clock
from jobs.model import Job, Pause, Status
from jobs.quick_dataclass import record
from ktclient.records import blocks, snapshot, tally
from ktclient.records.snapshot import Snapshot

if TYPE_CHECKING:
    from jobs.store.store import Store

_WORDS = {Status.RUNNING: "running", Status.QUEUED: "queued", Status.FINISHED: "ended"}
_JUDGED = 200
"""How many jobs are read to say why one of them waits."""


@record(frozen=True)
class Overview:
    """Jobs in order: running, queued, then finished, newest first."""

    jobs: list[Snapshot]
    waits: dict[str, str]
    """Why a job waits, in two or three words, by job id."""
    hidden: dict[Status, int]
    """How many jobs of each status are not shown."""
    refused: dict[str, str]
    """Why no worker can be started for a job, with the fix, by job id."""
    paused: tuple[Pause, ...] = ()
    """What is paused."""

    def more(self) -> str:
        """What is not shown, as text; empty if everything is."""
        rest = {status: number for status, number in self.hidden.items() if number > 0}
        if not rest:
            return ""
        each = ", ".join(
            f"{rest[status]:,} {word}" for status, word in _WORDS.items() if rest.get(status)
        )
        return f"… and {sum(rest.values()):,} more: {each}"


def read_grouped(store: Store, rows: int) -> Overview:
    """The same with a line for each group in place of its jobs. Of groups that have ended, only the
    newest are among the lines."""
    groups = store.groups(max(1, rows // 2))
    if not groups:
        return read(store, rows)
    running = store.running(rows, alone=True)
    left = max(0, rows - len(running) - len(groups))
    waiting, ended = store.waiting(left, alone=True), store.ended(left, alone=True)
    waiting = waiting[: max(left - len(ended), (left + 1) // 2)]
    ended = ended[: left - len(waiting)]
    hidden = store.counts()
    for status, jobs in zip(_WORDS, (running, waiting, ended), strict=True):
        hidden[status] = hidden.get(status, 0) - len(jobs)
    for group in groups:
        hidden[Status.RUNNING] -= group.running
        hidden[Status.QUEUED] -= group.queued
        hidden[Status.FINISHED] -= group.total - group.running - group.queued
    firsts = store.jobs_of([group.first for group in groups])
    paused = store.pauses()
    read_jobs = snapshot.of_jobs(store, [*firsts, *running, *waiting, *ended], paused)
    blocked = blocks.of_groups(store, groups, paused)
    shown = [
        tally.in_one(group, first, blocked.get(group.id))
        for group, first in zip(groups, read_jobs, strict=False)
    ]
    alone = read_jobs[len(groups) :]
    refused = refused_locks(store, store.waiting(rows))
    order = ("RUNNING", "QUEUED")
    jobs_shown = [one for state in order for one in [*shown, *alone] if one.state == state]
    ends = [one for one in [*shown, *alone] if one.is_finished]
    jobs_shown += sorted(ends, key=lambda one: one.finished_at or "", reverse=True)
    waits = reasons(jobs_shown, clock.now(), refused)
    return Overview(jobs_shown, waits, hidden, refused, tuple(paused))


def read(store: Store, rows: int) -> Overview:
    """At most `rows` jobs: all running ones, if they are no more than that; of the queued and the
    finished ones at least half of the rest each, if there are so many."""
    running = store.running(rows)
    left = rows - len(running)
    waiting, ended = store.waiting(left), store.ended(left)
    waiting = waiting[: max(left - len(ended), (left + 1) // 2)]
    ended = ended[: left - len(waiting)]
    counts = store.counts()
    shown = ((Status.RUNNING, running), (Status.QUEUED, waiting), (Status.FINISHED, ended))
    hidden = {status: counts.get(status, 0) - len(jobs) for status, jobs in shown}
    paused = store.pauses()
    jobs = snapshot.of_jobs(store, [*running, *waiting, *ended], paused)
    refused = refused_locks(store, waiting)
    waits = reasons(jobs, clock.now(), refused)
    return Overview(jobs, waits, hidden, refused, tuple(paused))


def refused_locks(store: Store, waiting: Sequence[Job]) -> dict[str, str]:
    """Why no worker can be started for some of these jobs, with the fix, by id."""
    refusals = {job.id: store.state.lock_refusal(job.id) for job in waiting}
    return {job_id: str(refusal) for job_id, refusal in refusals.items() if refusal}


def reasons(jobs: Sequence[Snapshot], now: str, refused: Collection[str]) -> dict[str, str]:
    """Why each queued job waits, also one whose parts are all queued. Judged by `jobs`: all running
    jobs and, in order, all jobs that are before it. `refused`: ids of jobs whose lock file belongs
    to another user."""
    ahead: dict[str, list[str]] = defaultdict(list)
    for job in jobs:
        if job.shown_state == Status.RUNNING.value:
            ahead[job.server].append(job.id)
    found = {}
    for job in jobs:
        if job.id in refused:
            found[job.id] = "another user's lock"
        elif job.shown_state == Status.QUEUED.value and job.blocked_by is not None:
            found[job.id] = blocks.word(job.blocked_by)
        elif job.shown_state == Status.QUEUED.value:
            found[job.id] = _reason(job, ahead[job.server], now)
            if not found[job.id].startswith(("at ", "after ")):
                ahead[job.server].append(job.id)
    return found


def reason(store: Store, job: Snapshot) -> str:
    """Why a queued job waits, judged by the first jobs of the queue; empty where they do not say
    it."""
    if job.shown_state != Status.QUEUED.value:
        return ""
    return read(store, _JUDGED).waits.get(job.id, "")


def _reason(job: Snapshot, ahead: Sequence[str], now: str) -> str:
    if job.waits_for:
        more = f" +{len(job.waits_for) - 1}" if len(job.waits_for) > 1 else ""
        return f"after {job.waits_for[0]}{more}"
    if job.not_before is not None and job.not_before > now:
        return f"at {_clock_time(job.not_before, now)}"
    if not ahead:
        return "next"
    return f"behind {ahead[0]}" if len(ahead) == 1 else f"behind {len(ahead):,} jobs"


def _clock_time(utc: str, now: str) -> str:
    """In the reader's time zone: the time today, with the date on other days."""
    then, today = (clock.moment(at).astimezone() for at in (utc, now))
    return then.strftime("%H:%M" if then.date() == today.date() else "%m-%d %H:%M")
