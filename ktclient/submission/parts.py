"""The parts of a stored job: what each reads, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from jobs import clock
from jobs.model import Attempt, Job
from jobs.store.store import Store
from ktclient.records import kinds
from ktclient.splitting.split_plan import ANSWER, Plan
from ktclient.submission.spec import JobSpec


@dataclass(frozen=True)
class Part:
    """One part. If it reads text: the `title`, and the range `start` to `end` in characters."""

    job: Job
    attempt: Attempt | None
    level: int
    """0: it reads a part of the document; n: it combines answers of level n - 1."""
    title: str = ""
    start: int | None = None
    end: int | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took, or has been running, in seconds; None before its start."""
        if self.job.started_at is None:
            return None
        end = self.job.finished_at or clock.now()
        return max(0.0, clock.seconds_between(self.job.started_at, end))

    def figure(self, name: str) -> int | None:
        """A whole number that its current attempt measured; None if there is none."""
        value = self.attempt.figures.get(name) if self.attempt else None
        return value if isinstance(value, int) else None

    def to_dict(self) -> dict[str, object]:
        """For JSON: counts in tokens, positions in characters, times in seconds."""
        return {
            "part": self.job.part,
            "id": self.job.id,
            "state": self.job.state,
            "level": self.level,
            "title": self.title,
            "start": self.start,
            "end": self.end,
            "attempt": self.job.attempt,
            "prompt_tokens": self.figure("prompt_tokens"),
            "completion_tokens": self.figure("completion_tokens"),
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "cause": self.job.cause,
            "message": self.job.message,
        }


def read(store: Store, job: Job) -> list[Part]:
    """The parts of a job, those of the document first; empty for a job without parts."""
    plan = plan_of(job)
    parts = [_part(store, one, plan) for one in store.parts(job.id)]
    last = max((part.level for part in parts), default=0) + 1
    return [
        part if part.job.part != ANSWER else Part(part.job, part.attempt, last) for part in parts
    ]


def plan_of(job: Job) -> Plan | None:
    """How the job's document is split; None if it is not."""
    if kinds.kind_of(job.spec) != kinds.SPLIT:
        return None
    return JobSpec.from_json(job.spec).split


def _part(store: Store, job: Job, plan: Plan | None) -> Part:
    attempt, name = store.attempt(job), job.part or ""
    if plan is not None and name.isdigit() and 0 < int(name) <= len(plan.chunks):
        chunk = plan.chunks[int(name) - 1]
        return Part(job, attempt, 0, chunk.title, chunk.start, chunk.end)
    level, _, number = name.partition(".")
    return Part(job, attempt, int(level) if number and level.isdigit() else 0)
