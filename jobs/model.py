"""What a job is: its states, their edges, and the rows as values.

Standard library only; imported by every other module here and importing none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Status(str, Enum):
    """Where a job stands. How it ended is an `Outcome`; a wish to cancel is a column."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"


class Outcome(str, Enum):
    """How a finished job ended."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"


TRANSITIONS: frozenset[tuple[Status, Status]] = frozenset(
    {
        (Status.QUEUED, Status.RUNNING),  # a worker claims it
        (Status.QUEUED, Status.FINISHED),  # cancelled before it ran, or it never may
        (Status.RUNNING, Status.FINISHED),  # the worker ends it, or recovery finds the worker dead
        (Status.RUNNING, Status.QUEUED),  # the attempt is proved dead and another is allowed
    }
)
"""Every legal edge. The same table guards the database: sql/0001_jobs.sql, trigger `jobs_edges`."""


@dataclass(frozen=True)
class Identity:
    """One process on one boot of one machine: a pid alone may belong to a stranger tomorrow."""

    boot_id: str
    pid: int
    start_ticks: int
    """Start time in clock ticks since boot: /proc/PID/stat, field 22 (proc(5))."""


@dataclass(frozen=True)
class NewJob:
    """What a submitter hands in. `document` is stored once by its SHA-256."""

    pool: str
    spec: str
    document: bytes
    title: str
    weight: int = 1
    """What it takes of `Capacity.tokens`: KV tokens, of prompt and answer."""
    max_attempts: int = 1
    """Tries in all: a second one only after the first is proved dead, never after an answer."""
    priority: int = 0
    """Higher goes first; among equals the older."""
    label: str | None = None
    """A word of the submitter's own."""
    submit_key: str | None = None
    """What is submitted again under the same key is the job that is there already."""
    parent: str | None = None
    """The id of the job of which this is a part, and under which name; each part is stored once."""
    part: str | None = None
    not_before: str | None = None
    """Waits until then: UTC, ISO 8601."""
    needs: tuple[str, ...] = ()
    """Ids of jobs that must have succeeded first; it fails when one of them ends otherwise."""
    tellings: tuple[tuple[str, str], ...] = ()
    """Whom to tell how it ended: kind and target, as the work understands them."""


@dataclass(frozen=True)
class Capacity:
    """What a pool may hold at once, told by whoever knows the server; None: no such limit."""

    tokens: int | None = None
    """The most that the weights of running jobs may add up to."""
    slots: int | None = None
    """The most jobs, whatever they weigh."""
    affinity: bool = False
    """Whether jobs on one document profit from running one right after another."""


@dataclass(frozen=True)
class Warmth:
    """What a pool with affinity has read last."""

    document: str
    """SHA-256 of the document of the job that started last."""
    passes: int
    """How many jobs have started that are younger than the first in line."""


@dataclass(frozen=True)
class Job:
    """One row of `jobs`. Times are UTC, ISO 8601."""

    id: str
    pool: str
    weight: int
    title: str
    spec: str
    document: str
    status: Status
    outcome: Outcome | None
    cause: str | None
    message: str | None
    attempt: int
    max_attempts: int
    cancel_requested_at: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    priority: int = 0
    seq: int = 0
    """Its place in the order of submission."""
    label: str | None = None
    submit_key: str | None = None
    parent: str | None = None
    part: str | None = None
    not_before: str | None = None

    @property
    def state(self) -> str:
        """The one word for people: the outcome once there is one, else the status."""
        return self.outcome.value if self.outcome else self.status.value


@dataclass(frozen=True)
class Attempt:
    """One try of a job, by one worker process."""

    job_id: str
    number: int
    rid: str
    """Unguessable and of fixed length, fresh for each attempt: what servers know the try by."""
    worker: Identity
    started_at: str
    ended_at: str | None
    phase: str
    phase_at: str
    done: int | None
    total: int | None
    unit: str | None
    figures: dict[str, object]
    """What the work measured, as it reported it: token counts, seconds, model names."""
    outcome: str | None = None
    """How it ended; LOST too when another attempt followed."""
    cause: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened to a job."""

    at: str
    attempt: int
    kind: str
    data: dict[str, object]
    job_id: str
    seq: int
    """Its place among the events of all jobs."""


@dataclass(frozen=True)
class Piece:
    """A stretch of output in the order it arrived. `channel` tells answer from other streams."""

    seq: int
    channel: str
    text: str
