"""What a job has in the store at one moment, as the answers of chats need it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from jobs.model import Attempt, Job, Outcome, Piece, Status
from jobs.store.http.store import HttpStore
from ktclient.errors import EmptyAnswer
from ktclient.records import blocks


@dataclass(frozen=True)
class Reading:
    """A job, its current attempt, and pieces of that attempt's output."""

    job: Job
    attempt: Attempt | None
    pieces: tuple[Piece, ...]
    blocked: str = ""
    """Of a queued job that a person keeps from starting: "held" or "paused"."""

    @property
    def is_finished(self) -> bool:
        return self.job.status is Status.FINISHED

    @property
    def is_answered(self) -> bool:
        """Whether it ended with an answer. One of nothing but thoughts is what the server gave."""
        is_empty = self.job.cause == EmptyAnswer.cause and bool(self.figures.get("finish_reason"))
        return self.job.outcome is Outcome.SUCCEEDED or (self.is_finished and is_empty)

    @property
    def figures(self) -> dict[str, Any]:
        return {} if self.attempt is None else self.attempt.figures

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.job.spec)
        return found


def read(store: HttpStore, job_id: str, number: int = 0, after: int = 0) -> Reading:
    """Read a job, and the pieces that came after piece `after` of attempt `number`: all of them if
    another attempt has begun. The job is read first, so a finished one has all its pieces. Raises
    `NoSuchJob`."""
    job = store.job(job_id)
    since = after if job.attempt == number else 0
    pieces = tuple(store.pieces(job_id, job.attempt, since))
    return Reading(job, store.attempt(job), pieces, blocks.word_of(store, job))
