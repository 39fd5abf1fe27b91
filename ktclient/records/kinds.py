"""Kinds of jobs by their specs: those that send no request themselves, and imported ones.

Conductors have parts, which send the requests. Such a job's spec has "conduct", its kind, besides
what every spec has (task, server, model, max_tokens, timeout: what people are shown), and version
2. It waits in a pool of its own. Its progress is that of its parts: tokens over all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.model import Attempt, Capacity, Job, Status
from jobs.quick_dataclass import record
from jobs.store.families import Sizes, Work
from jobs.worker import conductor
from ktclient.errors import BadInput
from ktclient.records import phases

if TYPE_CHECKING:
    from jobs.store.store import Store

POOL = "conducting"
CAPACITY = Capacity(slots=32)
"""Each conductor is a process that sleeps. Conductors conduct no conductors, or they would wait for
one another."""
ATTEMPTS = conductor.ATTEMPTS
SPLIT = "split"
"""The kind of a job whose document is too long for one request."""
BATCH = "batch"
"""The kind of a job with many requests; its output is the lines of their results."""
PROBLEMS = "problems"
"""The metric of a batch whose lines cannot be used: a list of objects with line, code, message and
param. The job's message lists the first."""
VERSION = 2
"""The version of their specs: a ktjob that knows only 1 must not take one for a request."""


_IMPORTED = "imported"
"""The key in a spec's task that only imported jobs have."""


def imported(spec: str) -> dict[str, Any] | None:
    """Where an imported job comes from: `at` (when it was imported), `id` (there), `sha256` and
    `bytes` of its document, and `parts`. None if the job ran here."""
    found = json.loads(spec)["task"].get(_IMPORTED)
    return found if isinstance(found, dict) else None


def as_imported(spec: str, origin: dict[str, object]) -> str:
    """The spec of a job that was imported from there."""
    stored = json.loads(spec)
    stored["task"][_IMPORTED] = origin
    return json.dumps(stored, ensure_ascii=False)


def require_own(job: Job, *, needs_document: bool = False) -> None:
    """Raises `BadInput` for an imported job: its request belongs to another machine.
    `needs_document`: only if its document was not imported."""
    origin = imported(job.spec)
    has_document = origin is not None and job.document == origin["sha256"]
    if origin is None or (needs_document and has_document):
        return
    if needs_document:
        raise BadInput(
            f"job {job.id} was imported without its document. Submit the document itself, or "
            "export the job again with --with-documents"
        )
    raise BadInput(
        f"job {job.id} was imported and did not run here, so it cannot be retried. To send its "
        f"request from here: ktjob rerun {job.id}"
    )


def kind_of(spec: str) -> str | None:
    """The kind of conductor; None if the job is a request itself."""
    kind = json.loads(spec).get("conduct")
    return None if kind is None else str(kind)


_SIZES = Sizes(
    counted="$.task.tokens[1]",
    besides="$.max_tokens",
    measured="$.prompt_tokens",
    reading=phases.PREFILL,
    read=phases.DECODE,
)


@record(frozen=True)
class PartsProgress:
    """The requests of one running job, together."""

    requests: int
    """How many it makes in all, as planned."""
    ended: int
    failed: int
    """Failed, lost or cancelled."""
    running: int
    queued: int
    tokens: int
    """Of all prompts: measured where the server has counted them, else as counted at submit; where
    that was an estimate, as wrong as for those that the server has counted."""
    tokens_read: int
    seconds_left: float | None
    """Until all have ended; None before anything was read."""

    @property
    def is_waiting(self) -> bool:
        """Whether none of them runs and some are queued."""
        return not self.running and self.queued > 0


def progress_of(
    store: Store, jobs: Sequence[Job], attempts: Mapping[str, Attempt]
) -> dict[str, PartsProgress]:
    """The progress of each running job that has parts, by id."""
    conducting = {job.id: job for job in jobs if job.pool == POOL and job.status is Status.RUNNING}
    if not conducting:
        return {}
    works = store.work_of_parts(list(conducting), _SIZES)
    return {
        job_id: _progress(work, json.loads(conducting[job_id].spec), attempts.get(job_id))
        for job_id, work in works.items()
    }


def _progress(work: Work, spec: dict[str, Any], attempt: Attempt | None) -> PartsProgress:
    requests = max(work.total, spec.get("lines") or 0, (attempt and attempt.total) or 0)
    size = work.size + _to_come(spec.get("split"), work.total, requests)
    seconds = None
    if work.timed:
        left = (size - work.done) * work.seconds / work.timed
        seconds = max(0.0, left / max(1, work.running))
    return PartsProgress(
        requests=requests,
        ended=work.total - work.queued - work.running,
        failed=work.total - work.queued - work.running - work.succeeded,
        running=work.running,
        queued=work.queued,
        tokens=size,
        tokens_read=min(work.done, size),
        seconds_left=seconds,
    )


def _to_come(split: dict[str, Any] | None, stored: int, requests: int) -> int:
    """An upper bound in tokens for the requests that combine answers and are not stored yet. Each
    answer but the last one is read once."""
    combining = requests - len(split["chunks"]) if split else 0
    if split is None or combining <= 0:
        return 0
    missing = min(combining, requests - stored)
    return int((requests - 1) * split["answer"] * missing / combining)
