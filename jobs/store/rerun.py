"""The same once more, for a job that ended without success: as a new job, because an end is final.

The parts that succeeded go over to it, so that what was answered is not asked again.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobs import clock
from jobs.errors import IllegalTransition
from jobs.model import Attempt, Job, NewJob, Outcome, Status
from jobs.store.store import Store


class Retries(Store):
    """What may be done with a job that has failed."""

    def retry(self, job_id: str) -> Job:
        """A new job like this one, with those of its parts that succeeded, and whom to tell. Asked
        for twice it is the same one. Raises `NoSuchJob`, and `IllegalTransition` for a job that has
        not ended, has succeeded, or is a part."""
        with self._transaction():
            old = self.job(job_id)
            _require_unsuccessful(old)
            new_id, is_new = self._again(old)
            if is_new:
                at = clock.now()
                self._run("hand_on_parts", old=old.id, new=new_id)
                self._run("hand_on_tellings", old=old.id, new=new_id)
                self._event(old.id, old.attempt, at, "retried", {"as": new_id})
        return self.job(new_id)

    def _again(self, old: Job) -> tuple[str, bool]:
        new = NewJob(
            pool=old.pool,
            spec=old.spec,
            document=self.document(old.document),
            title=old.title,
            weight=old.weight,
            max_attempts=old.max_attempts,
            priority=old.priority,
            label=old.label,
            submit_key=key(old.id),
        )
        known = self._stored(new)
        if known is not None:
            return known, False
        return self._insert(new, self.capacities()[old.pool], clock.now()), True


_KEY = "retry of "


def key(job_id: str) -> str:
    """Of the one job that does once more what this one did not."""
    return f"{_KEY}{job_id}"


def retried(job: Job) -> str | None:
    """The id of the job that this one does once more; None for what is new."""
    submit_key = job.submit_key or ""
    return submit_key.removeprefix(_KEY) if submit_key.startswith(_KEY) else None


def _require_unsuccessful(job: Job) -> None:
    if job.parent is not None:
        raise IllegalTransition(f"job {job.id} is a part of {job.parent}: ktjob retry {job.parent}")
    if job.status is not Status.FINISHED:
        raise IllegalTransition(f"job {job.id} has not ended; wait for it: ktjob wait {job.id}")
    if job.outcome is Outcome.SUCCEEDED:
        raise IllegalTransition(
            f"job {job.id} has succeeded; its answer: ktjob result {job.id}. To ask once more, "
            "submit it again"
        )


def attempts_before(store: Store, job: Job) -> list[Attempt]:
    """The attempts of all jobs that this one does once more, however often; those that were
    removed are forgotten."""
    return [attempt for old in _ancestors(store, job) for attempt in store.attempts(old.id)]


def _ancestors(store: Store, job: Job) -> Iterator[Job]:
    whole = job if job.parent is None else store.job(job.parent)
    while (old_id := retried(whole)) is not None and store.exists(old_id):
        whole = store.job(old_id)
        part = whole if job.part is None else store.part(old_id, job.part)
        if part is not None:
            yield part
