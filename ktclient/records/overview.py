"""What `ktjob status` shows: what runs, what waits and why, what ended last; bounded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs import clock
from jobs.model import Status
from jobs.store.store import Store
from ktclient.records import snapshot
from ktclient.records.snapshot import Snapshot

_WORDS = {Status.RUNNING: "running", Status.QUEUED: "queued", Status.FINISHED: "ended"}


@dataclass(frozen=True)
class Overview:
    """Jobs in order: those that run, those that wait, those that ended, the last first."""

    jobs: list[Snapshot]
    waits: dict[str, str]
    """Why a job waits, in two or three words, by its id."""
    hidden: dict[Status, int]
    """How many more there are in each status."""

    def more(self) -> str:
        """What is not shown, in words; empty when all is."""
        rest = {status: number for status, number in self.hidden.items() if number > 0}
        if not rest:
            return ""
        each = ", ".join(
            f"{rest[status]:,} {word}" for status, word in _WORDS.items() if rest.get(status)
        )
        return f"… and {sum(rest.values()):,} more: {each}"


def read(store: Store, rows: int) -> Overview:
    """At most `rows` jobs: all that run, if they are no more than that, and of what waits and what
    ended at least half of the rest each, where there is so much."""
    running = store.running(rows)
    left = rows - len(running)
    waiting, ended = store.waiting(left), store.ended(left)
    waiting = waiting[: max(left - len(ended), (left + 1) // 2)]
    ended = ended[: left - len(waiting)]
    counts = store.counts()
    shown = ((Status.RUNNING, running), (Status.QUEUED, waiting), (Status.FINISHED, ended))
    hidden = {status: counts.get(status, 0) - len(jobs) for status, jobs in shown}
    jobs = snapshot.of_jobs(store, [*running, *waiting, *ended])
    return Overview(jobs, reasons(jobs, clock.now()), hidden)


def reasons(jobs: Sequence[Snapshot], now: str) -> dict[str, str]:
    """Why each queued job waits, as far as these jobs tell: all that run and, in order, all that
    are before it."""
    ahead: dict[str, list[str]] = defaultdict(list)
    for job in jobs:
        if job.state == Status.RUNNING.value:
            ahead[job.server].append(job.id)
    found = {}
    for job in jobs:
        if job.state == Status.QUEUED.value:
            found[job.id] = _reason(job, ahead[job.server], now)
            if not found[job.id].startswith(("at ", "after ")):
                ahead[job.server].append(job.id)
    return found


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
    """In the reader's time zone: the hour today, with the date on other days."""
    then, today = (
        datetime.fromisoformat(at.replace("Z", "+00:00")).astimezone() for at in (utc, now)
    )
    return then.strftime("%H:%M" if then.date() == today.date() else "%m-%d %H:%M")
