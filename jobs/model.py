"""What a job is: its states, their edges, and the rows as values.

Standard library only; imported by every other module here and importing none of them.
"""

from __future__ import annotations

from enum import Enum

from jobs.quick_dataclass import record


class Status(str, Enum):
    """Where a job stands. How it ended is an `Outcome`; a cancel request is a column."""

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


@record(frozen=True)
class Identity:
    """One process on one boot of one machine. A pid alone is not enough: pids are reused."""

    boot_id: str
    pid: int
    start_ticks: int
    """Start time in clock ticks since boot: /proc/PID/stat, field 22 (proc(5))."""


@record(frozen=True)
class NewRequest:
    """What is stored with a job that came over HTTP."""

    owner: str
    """The id of the API key that it came with; empty without keys."""
    surface: str
    """The interface: "chat", "responses", "batches" or "page"."""
    digest: str
    """SHA-256 of what was sent, to recognise the same request when it comes again."""
    fields: dict[str, object]
    """What its answers repeat of it, and its input; JSON."""
    is_stored: bool = True
    """False: its text is deleted once it was delivered."""


@record(frozen=True)
class NewJob:
    """What a submitter stores. Each `document` is stored once, by its SHA-256."""

    pool: str
    spec: str
    document: bytes
    title: str
    weight: int = 1
    """Its share of `Capacity.tokens`: KV tokens of prompt and answer."""
    max_attempts: int = 1
    """Attempts in total. Another one starts only when the one before is proved dead and the server
    has not answered it."""
    priority: int = 0
    """Higher starts first; among equals the older job."""
    label: str | None = None
    """Free text for filtering."""
    submit_key: str | None = None
    """Idempotency key: a second submit with the same key returns the job that exists."""
    parent: str | None = None
    """The id of the job that this is a part of."""
    part: str | None = None
    """The part's name, unique within its parent: each part is stored once."""
    not_before: str | None = None
    """Earliest start: UTC, ISO 8601."""
    delay_seconds: float | None = None
    """How long after the submit that is, where the user said that, and no time of the clock."""
    needs: tuple[str, ...] = ()
    """Ids of jobs that must succeed first. This job fails when one of them does not."""
    tellings: tuple[tuple[str, str], ...] = ()
    """Notifications to send when the job ends: (kind, target), as the work understands them."""
    request: NewRequest | None = None
    """The request that it came with, if it came over HTTP."""


@record(frozen=True)
class Capacity:
    """What a pool may run simultaneously. The caller, who knows the server, supplies it. None means
    no limit."""

    tokens: int | None = None
    """The largest sum of the weights of running jobs."""
    slots: int | None = None
    """The largest number of running jobs, whatever their weights."""
    affinity: bool = False
    """Whether jobs that begin alike run faster one right after another (prefix cache)."""


@record(frozen=True)
class Pause:
    """What the user paused: no job of it starts until it is resumed. Running ones continue."""

    pool: str | None
    """None: the whole queue."""
    since: str
    """UTC, ISO 8601."""


@record(frozen=True)
class Warmth:
    """What a pool with affinity read last."""

    document: str
    """SHA-256 of the document of the job that started last."""
    passes: int
    """How many jobs have started that are younger than the first queued job."""
    spec: str = "{}"
    """The spec of that job: documents alone do not say whether two requests begin alike."""


@record(frozen=True)
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
    held_at: str | None = None
    """Since when the user keeps it from starting; a part has that of its whole."""

    group_id: str | None = None
    """The id of the group of jobs that were submitted together."""

    @property
    def state(self) -> str:
        """The state to show: the outcome once there is one, else the status."""
        return self.outcome.value if self.outcome else self.status.value


@record(frozen=True)
class Attempt:
    """One attempt of a job, by one worker process."""

    job_id: str
    number: int
    rid: str
    """Request id: random, of fixed length, new for each attempt. Servers know the attempt by it."""
    worker: Identity
    started_at: str
    ended_at: str | None
    phase: str
    phase_at: str
    done: int | None
    total: int | None
    unit: str | None
    figures: dict[str, object]
    """Metrics as the work reported them: token counts, seconds, model names."""
    outcome: str | None = None
    """How the attempt ended. LOST also when another attempt followed."""
    cause: str | None = None
    message: str | None = None


@record(frozen=True)
class Event:
    """Something that happened to a job."""

    at: str
    attempt: int
    kind: str
    data: dict[str, object]
    job_id: str
    seq: int
    """Its place among the events of all jobs."""


@record(frozen=True)
class Piece:
    """A stretch of output in the order it arrived. `channel` separates the answer from other
    streams."""

    seq: int
    channel: str
    text: str
