"""A batch as the store has it now."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.errors import PartFailed
from jobs.model import Attempt, Job, Outcome, Status
from jobs.store import rerun
from jobs.store.families import Tally
from jobs.store.http.store import HttpStore
from jobs.store.http.values import Request, Totals
from ktclient.batch.spec import BatchSpec
from ktclient.gateway import ids, visibility
from ktclient.gateway.batches.creation import SURFACE
from ktclient.gateway.context import Caller
from ktclient.records import phases

VALIDATING, FAILED, IN_PROGRESS = "validating", "failed", "in_progress"
FINALIZING, COMPLETED = "finalizing", "completed"
CANCELLING, CANCELLED = "cancelling", "cancelled"
_known: dict[tuple[str, Tally], Totals] = {}
_MOST_KNOWN = 10_000
_ENDED = (FAILED, COMPLETED, CANCELLED)


@dataclass(frozen=True)
class Batch:
    """A batch, with what its parts have come to. `job` is the one that the batch began with;
    `last` the last retry of it (`ktjob retry`), which has its parts, or the same one."""

    job: Job
    request: Request
    last: Job
    spec: BatchSpec
    attempt: Attempt | None
    totals: Totals
    checked_at: str | None
    """When its lines had been checked."""

    @property
    def status(self) -> str:
        """As OpenAI names it."""
        if self.last.status is Status.FINISHED:
            return self._end
        if self.last.cancel_requested_at:
            return CANCELLING
        if not self.spec.is_checked:
            return VALIDATING
        is_writing = self.attempt is not None and self.attempt.phase == phases.WRITING_RESULTS
        return FINALIZING if is_writing else IN_PROGRESS

    @property
    def _end(self) -> str:
        if self.last.outcome is Outcome.CANCELLED:
            return CANCELLED
        has_all = self.last.outcome is Outcome.SUCCEEDED or self.last.cause == PartFailed.cause
        return COMPLETED if has_all else FAILED

    @property
    def has_ended(self) -> bool:
        """Whether its results are there."""
        return self.status in _ENDED

    @property
    def has_output(self) -> bool:
        """Whether there is a file of answers."""
        return self.has_ended and self.totals.succeeded > 0

    @property
    def has_errors(self) -> bool:
        """Whether there is a file of lines without an answer."""
        was_checked = self.spec.is_checked or self.status == CANCELLED
        is_short = not self.spec.is_checked or self.totals.succeeded < self.spec.lines
        return self.has_ended and was_checked and is_short


def find(store: HttpStore, caller: Caller, given: str) -> Batch:
    """The batch that an id names. Raises `ApiError` 404, also for a job that is none."""
    visible = visibility.find(store, caller, given, ids.BATCH)
    if visible.request is None or visible.request.surface != SURFACE:
        raise visibility.not_found(given)
    return read(store, visible.job, visible.request)


def read(store: HttpStore, job: Job, request: Request) -> Batch:
    """A batch as it is now."""
    last = job
    while (following := store.by_key(rerun.key(last.id))) is not None:
        last = following
    checked = (event.at for event in store.events(last.id) if event.kind == "checked")
    spec = BatchSpec.from_json(last.spec)
    return Batch(
        job=job,
        request=request,
        last=last,
        spec=spec,
        attempt=store.attempt(last),
        totals=_totals(store, last),
        checked_at=next(checked, last.started_at if spec.is_checked else None),
    )


def _totals(store: HttpStore, job: Job) -> Totals:
    """Kept in memory once the job has ended: the sums of ten thousands of parts take a while, and
    lists need them of each batch."""
    if job.status is not Status.FINISHED:
        return store.totals_of_parts(job.id)
    key = (job.id, store.tally(job.id))  # parts move between a job and its retry
    found = _known.get(key)
    if found is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        found = _known[key] = store.totals_of_parts(job.id)
    return found


def listed(
    store: HttpStore, caller: Caller, limit: int, after: str | None, *, is_descending: bool
) -> list[Batch]:
    """The caller's batches, behind the one with the id `after`. Raises `ApiError` 404 for an
    unknown one."""
    seq = None if after is None else find(store, caller, after).job.seq
    found = store.requests_of(caller.sees, SURFACE, limit, seq, is_descending=is_descending)
    return [read(store, store.job(one.job_id), one) for one in found]
