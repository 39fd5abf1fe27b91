"""A job as people and scripts see it: one flat record of its current data in the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from jobs import clock
from jobs.model import Attempt, Job, Outcome, Pause, Piece, Status
from jobs.quick_dataclass import record
from ktclient.records.output_schema import SCHEMA

if TYPE_CHECKING:
    from jobs.store.job_queries import Need
    from jobs.store.store import Store
    from ktclient.answers.thoughts import Divided
    from ktclient.records.blocks import Block
    from ktclient.records.kinds import PartsProgress

PREFILL_SAMPLES = "prefill_progress"
"""The figure of an attempt with how far its prefill was at each time: [tokens, seconds since it was
sent], in order, some fifty at most."""

PREDICTED_AS = "predicted_as"
PREDICTED_CACHED = "predicted_cached_share"
"""The figure with the share of the prompt, from 0 to 1, that the server probably has cached."""
"""The figure of an attempt with what its prediction consists of, as text, where its request was not
the server's only one."""


@record(frozen=True)
class Snapshot:
    """The data of a job at one moment. Times are UTC, ISO 8601."""

    id: str
    state: str
    """QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED or LOST."""
    title: str
    task: str
    server: str
    """The server's URL, or "embedded"."""
    max_tokens: int
    timeout: float
    attempt: int
    max_attempts: int
    phase: str | None
    """What a running job does: connecting, sending, waiting, prefill, decode, or the step of the
    embedded server's start. After the end, its last phase."""
    done: int | None
    """Progress of the phase, in `unit`s; None if unknown."""
    total: int | None
    unit: str | None
    cancel_requested: bool
    cause: str | None
    message: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    phase_at: str | None
    figures: dict[str, object]
    """Measured by the attempt: prompt_tokens, completion_tokens, first_token_seconds …"""
    tokens_per_second: float | None
    """Of a running job: the speed of prefill, or of decode."""
    eta_seconds: float | None
    """Seconds from now until the first token; None if unknown."""
    progress_source: str | None
    """The source of the progress: log, stream, metrics, loads or history."""
    is_estimate: bool
    """Whether the server has other requests too, so that progress and times are an estimate."""
    questions: tuple[str, ...] = ()
    """The questions: several if one request combines them."""
    has_schema: bool = False
    """Whether the answer must follow a JSON Schema."""
    label: str | None = None
    """The label set at submit."""
    group: str | None = None
    """The id of the group of jobs that were submitted together."""
    parent: str | None = None
    """The id of the job of which this is a part; `part` is its name there."""
    part: str | None = None
    not_before: str | None = None
    """The job waits until then."""
    needs: tuple[str, ...] = ()
    """Ids of jobs that must succeed first."""
    waits_for: tuple[str, ...] = ()
    """Those of `needs` that have not succeeded yet."""
    model: str | None = None
    """The model that gets the request, stored at submit; None: the one that the server serves."""
    counted: tuple[int, ...] | None = None
    """Tokens of the request as counted at submit: least, likely, most; all equal if exact."""
    thinking: str | None = None
    """How hard the model thinks and what that costs before the text, as far as known at submit:
    "high, 83 tokens of template"."""
    held_at: str | None = None
    """Since when `ktjob hold` keeps it, or its parts, from starting."""
    blocked_by: str | None = None
    """What keeps the job from starting until somebody changes it: "held", "queue" or "server" (one
    of these is paused); None: nothing does."""
    blocked: str | None = None
    """The same in words, with the command that lets it start."""
    priority: int = 0
    """Higher starts first."""
    imported: dict[str, object] | None = None
    """Of a job that ran elsewhere and was imported: `at` (when, UTC), `id` (there), `sha256` (of
    its document), `has_document` (whether that was imported too). Its times and figures are those
    of there."""
    parts_progress: PartsProgress | None = None
    """Of a running job with parts: how far all of them are."""

    @property
    def shown_state(self) -> str:
        """The state for people: a job with parts is queued while none of them runs."""
        is_waiting = self.parts_progress is not None and self.parts_progress.is_waiting
        return Status.QUEUED.value if is_waiting else self.state

    @property
    def is_finished(self) -> bool:
        return self.finished_at is not None

    @property
    def is_truncated(self) -> bool:
        """Whether the answer ended because max_tokens were used up."""
        return self.figures.get("finish_reason") == "length"

    @property
    def is_by_embedded(self) -> bool:
        """Whether the server is the embedded demonstration model."""
        return self.server == "embedded"

    def seconds(self, now: str | None = None) -> float:
        """Run time so far, or in total, in seconds; 0 before the start. Never negative."""
        if self.started_at is None:
            return 0.0
        end = self.finished_at or now or clock.now()
        return max(0.0, clock.seconds_between(self.started_at, end))

    def to_dict(self) -> dict[str, object]:
        """The fields for JSON, as described by `schema.json`."""
        return {"schema": SCHEMA, **asdict(self)}

    def _repr_html_(self) -> str:
        """HTML for notebooks."""
        from ktclient.answers import notebook

        return notebook.table(self.to_dict(), self.seconds())


def of_job(store: Store, job: Job) -> Snapshot:
    """The snapshot of one job."""
    return of_jobs(store, [job])[0]


def of_jobs(
    store: Store, jobs: Sequence[Job], pauses: Sequence[Pause] | None = None
) -> list[Snapshot]:
    """The snapshots of several jobs, read in a few statements. `pauses`: those of the store, where
    they are known."""
    from ktclient.records import blocks, kinds

    attempts, needs = store.current_attempts(jobs), store.needs_of(jobs)
    found = blocks.of_jobs(store, jobs, pauses)
    parts = kinds.progress_of(store, jobs, attempts)
    return [
        _build(
            job,
            attempts.get(job.id),
            needs.get(job.id, ()),
            found.get(job.id),
            parts.get(job.id),
        )
        for job in jobs
    ]


def _build(
    job: Job,
    attempt: Attempt | None,
    needs: Sequence[Need],
    block: Block | None,
    parts: PartsProgress | None,
) -> Snapshot:
    spec = json.loads(job.spec)
    if job.status is Status.QUEUED:
        attempt = None
    figures = attempt.figures if attempt else {}
    live = figures if job.status is Status.RUNNING else {}
    task = spec["task"]
    asked = task.get("questions") or ([task["text"]] if task["kind"] == "ask" else [])
    counted = task.get("tokens")
    return Snapshot(
        id=job.id,
        state=job.state,
        title=job.title,
        task=task["kind"],
        server=spec["server"],
        max_tokens=spec["max_tokens"],
        timeout=spec["timeout"],
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        phase=attempt.phase if attempt else None,
        done=attempt.done if attempt else None,
        total=attempt.total if attempt else None,
        unit=attempt.unit if attempt else None,
        cancel_requested=job.cancel_requested_at is not None and job.status is Status.RUNNING,
        cause=job.cause,
        message=job.message,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        phase_at=attempt.phase_at if attempt else None,
        figures=figures,
        tokens_per_second=_number(live.get("tokens_per_second")),
        eta_seconds=_counted_down(live, clock.now()),
        progress_source=str(live["progress_source"]) if live.get("progress_source") else None,
        is_estimate=live.get("shared") is not None,
        questions=tuple(asked),
        has_schema="schema" in task,
        label=job.label,
        group=job.group_id,
        parent=job.parent,
        part=job.part,
        not_before=job.not_before,
        needs=tuple(need.id for need in needs),
        model=spec.get("model"),
        waits_for=tuple(need.id for need in needs if not need.is_met),
        counted=None if counted is None else tuple(counted),
        thinking=task.get("thinks"),
        held_at=None if job.status is Status.FINISHED else job.held_at,
        blocked_by=None if block is None else block.kind,
        blocked=None if block is None else str(block),
        priority=job.priority,
        imported=_origin(job, task),
        parts_progress=parts,
    )


def _origin(job: Job, task: dict[str, object]) -> dict[str, object] | None:
    origin = task.get("imported")
    if not isinstance(origin, dict):
        return None
    has_document = origin["sha256"] == job.document
    return {**{name: origin[name] for name in ("at", "id", "sha256")}, "has_document": has_document}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _counted_down(figures: dict[str, object], now: str) -> float | None:
    """The remaining seconds of an ETA that was stored some seconds ago."""
    told, at = _number(figures.get("eta_seconds")), figures.get("eta_at")
    if told is None or not isinstance(at, str):
        return None
    return max(0.0, told - max(0.0, clock.seconds_between(at, now)))


def answer(store: Store, job: Job) -> str:
    """The answer's text so far, without thoughts: complete if the job succeeded, else the partial
    text of the last attempt that has any."""
    return output(store, job).answer


def output(store: Store, job: Job) -> Divided:
    """The answer as `answer` returns it, and the thoughts of the same attempt; if no attempt has an
    answer, those of the last one that has any."""
    last: Divided | None = None
    for number in range(job.attempt, 0, -1):
        found = divided(job, store.pieces(job.id, number))
        if found.answer and _is_all_thought(store, job, number):
            found = found.as_thoughts()
        if found.answer or job.outcome is Outcome.SUCCEEDED:
            return found
        last = last if last and last.thoughts else found
    return last or divided(job, [])


def _is_all_thought(store: Store, job: Job, number: int) -> bool:
    from ktclient.records.thinking import ONLY_THOUGHTS

    attempts = store.attempts(job.id) if job.outcome is Outcome.FAILED else []
    return any(one.number == number and one.figures.get(ONLY_THOUGHTS) for one in attempts)


def divided(job: Job, pieces: Sequence[Piece]) -> Divided:
    """The output of one attempt. That of a batch is its lines, whatever models wrote in them."""
    # Here, because most commands look at jobs and not at their output.
    from ktclient.answers import thoughts
    from ktclient.records import kinds

    if kinds.kind_of(job.spec) == kinds.BATCH:
        return thoughts.Divided(raw_text(pieces), "")
    if kinds.imported(job.spec) is not None:  # divided where it ran
        return thoughts.as_stored(pieces)
    return thoughts.divide(pieces)


def raw(store: Store, job: Job) -> str:
    """The content as the server sent it, tags of thoughts included, of the attempt of `output`."""
    for number in range(job.attempt, 0, -1):
        text = raw_text(store.pieces(job.id, number))
        if text or job.outcome is Outcome.SUCCEEDED:
            return text
    return ""


def raw_text(pieces: Sequence[Piece]) -> str:
    """The content in these pieces, as it came."""
    return "".join(piece.text for piece in pieces if piece.channel == "answer")
