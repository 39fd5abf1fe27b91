"""What a job does once more: the one it retries, and of a part the part of that name there."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.model import Attempt, Job
from jobs.store import rerun
from jobs.store.store import Store


def attempts_before(store: Store, job: Job) -> list[Attempt]:
    """The attempts of all jobs that this one does once more, however often; those that were
    removed are forgotten."""
    return [attempt for old in _ancestors(store, job) for attempt in store.attempts(old.id)]


def _ancestors(store: Store, job: Job) -> Iterator[Job]:
    whole = job if job.parent is None else store.job(job.parent)
    while (old_id := rerun.retried(whole)) is not None and store.exists(old_id):
        whole = store.job(old_id)
        part = whole if job.part is None else store.part(old_id, job.part)
        if part is not None:
            yield part
