"""Retry of a job that ended without success: a new job, because an end is final.

The parts that succeeded move to the new job, so that their work is not repeated.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobs import clock
from jobs.errors import IllegalTransition
from jobs.model import Attempt, Job, NewJob, Outcome, Status
from jobs.store.store import Store


class Retries(Store):
    """Retries of jobs that ended without success."""

    def retry(self, job_id: str) -> Job:
        """Create a new job like this one, and move the succeeded parts and the notifications to it.
        A second call returns the same job. Raises `NoSuchJob`, and `IllegalTransition` for a job
        that has not ended, has succeeded, or is a part."""
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
    """The submit key of the job that retries this one."""
    return f"{_KEY}{job_id}"


def retried(job: Job) -> str | None:
    """The id of the job that this one retries; None when it is not a retry."""
    submit_key = job.submit_key or ""
    return submit_key.removeprefix(_KEY) if submit_key.startswith(_KEY) else None


def _require_unsuccessful(job: Job) -> None:
    if job.parent is not None:
        raise IllegalTransition(
            f"job {job.id} is a part of job {job.parent} and cannot be retried alone. Retry the "
            f"whole job: ktjob retry {job.parent}"
        )
    if job.status is not Status.FINISHED:
        raise IllegalTransition(
            f"job {job.id} has not ended, so it cannot be retried. Wait for it: ktjob wait {job.id}"
        )
    if job.outcome is Outcome.SUCCEEDED:
        raise IllegalTransition(
            f"job {job.id} has succeeded, so it cannot be retried. Show its answer: ktjob result "
            f"{job.id}. To send the request again, submit it as a new job"
        )


def attempts_before(store: Store, job: Job) -> list[Attempt]:
    """The attempts of all jobs that this one repeats, over any number of retries, as far as those
    jobs still exist."""
    return [attempt for old in _ancestors(store, job) for attempt in store.attempts(old.id)]


def _ancestors(store: Store, job: Job) -> Iterator[Job]:
    whole = job if job.parent is None else store.job(job.parent)
    while (old_id := retried(whole)) is not None and store.exists(old_id):
        whole = store.job(old_id)
        part = whole if job.part is None else store.part(old_id, job.part)
        if part is not None:
            yield part
