"""Retry of a job that ended without success: a new job, because an end is final.

The new job has all that was submitted with the old one. The parts that succeeded move to it, so
that their work is not repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from jobs import clock
from jobs.errors import IllegalTransition
from jobs.model import Attempt, Capacity, Job, NewJob, Outcome, Status
from jobs.store.store import Store


class Retries(Store):
    """Retries of jobs that ended without success."""

    def retry(self, job_id: str, spec: str | None = None) -> tuple[Job, bool]:
        """Create a new job like this one, and move the succeeded parts to it. A second call returns
        the same job; the second value is whether it is new. `spec`: instead of the old one's.

        Raises `NoSuchJob`, and `IllegalTransition` for a job that has not ended, has succeeded, or
        is a part, for one with a part that has not ended, and for one with a prerequisite that
        ended without success and was not retried.
        """
        with self._transaction():
            old = self.job(job_id)
            require_unsuccessful(old)
            known = self.by_key(key(old.id))
            if known is not None:
                return known, False
            self._refuse_open_parts(old)
            at = clock.now()
            again = self._again(old)
            again = again if spec is None else replace(again, spec=spec)
            new_id = self._insert(again, self.capacities()[old.pool], at)
            self._run("hand_on_parts", old=old.id, new=new_id)
            self._run("hand_on_owner", old=old.id, new=new_id)
            self._hand_on_place(old.id, new_id)
            self._event(old.id, old.attempt, at, "retried", {"as": new_id})
        return self.job(new_id), True

    def rerun(
        self, several: Sequence[tuple[str, NewJob]], capacities: Mapping[str, Capacity]
    ) -> list[Job]:
        """Store a job for each of these, which is the one with that id again, whatever became of
        it. Several are a group. All of them, or none. Raises `NoSuchJob`."""
        with self._transaction():
            at = clock.now()
            for pool, capacity in capacities.items():
                self._set_capacity(pool, capacity)
            ids = []
            for job_id, new in several:
                old = self.job(job_id)
                ids.append(self._insert(new, capacities[new.pool], at))
                self._event(old.id, old.attempt, at, "run again", {"as": ids[-1]})
                self._event(ids[-1], 0, at, "rerun", {"of": old.id})
            if len(ids) > 1:
                self._join_group(ids, ())
        return [self.job(new_id) for new_id in ids]

    def _again(self, old: Job) -> NewJob:
        """What to submit to repeat this job. A start time that has passed is dropped."""
        is_early = old.not_before is not None and old.not_before > clock.now()
        return NewJob(
            pool=old.pool,
            spec=old.spec,
            document=self.document(old.document),
            title=old.title,
            weight=old.weight,
            max_attempts=old.max_attempts,
            priority=old.priority,
            label=old.label,
            submit_key=key(old.id),
            not_before=old.not_before if is_early else None,
            needs=tuple(self._still_needed(old)),
            tellings=self.tellings(old.id),
        )

    def _still_needed(self, old: Job) -> Iterator[str]:
        """The prerequisites that have not succeeded yet, each as its last retry."""
        for needs in self.needs(old.id):
            if not self.exists(needs):
                continue  # it was deleted, which counts as success: the submit says so too
            needed = self._last_retry(self.job(needs))
            if needed.outcome not in (None, Outcome.SUCCEEDED):
                raise IllegalTransition(
                    f"job {old.id} starts only after job {needed.id}, which ended as "
                    f"{needed.state}. Retry that one first (ktjob retry {needed.id}), then this "
                    f"one (ktjob retry {old.id})"
                )
            if needed.outcome is None:
                yield needed.id

    def _last_retry(self, job: Job) -> Job:
        while (following := self.by_key(key(job.id))) is not None:
            job = following
        return job

    def _refuse_open_parts(self, old: Job) -> None:
        """A part that may still answer must not be sent again beside itself."""
        for part_id in self._open_parts(old.id):
            raise part_not_ended(part_id, old.id)


_KEY = "retry of "


def key(job_id: str) -> str:
    """The submit key of the job that retries this one."""
    return f"{_KEY}{job_id}"


def retried(job: Job) -> str | None:
    """The id of the job that this one retries; None when it is not a retry."""
    submit_key = job.submit_key or ""
    return submit_key.removeprefix(_KEY) if submit_key.startswith(_KEY) else None


def part_not_ended(part_id: str, job_id: str) -> IllegalTransition:
    """The error for repeating a job of which a part is still running."""
    return IllegalTransition(
        f"job {job_id} has ended, but its part {part_id} is still being stopped and may yet give "
        f"its answer. Wait for it (ktjob wait {part_id}), then try again; nothing was stored"
    )


def require_unsuccessful(job: Job) -> None:
    """Raises `IllegalTransition` for a job that cannot be retried."""
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
            f"{job.id}. To send the request again: ktjob rerun {job.id}"
        )


def attempts_before(store: Store, job: Job) -> list[Attempt]:
    """The attempts of all jobs that this one repeats, over any number of retries, as far as those
    jobs still exist."""
    return [attempt for old in _ancestors(store, job) for attempt in store.attempts(old.id)]


def _ancestors(store: Store, job: Job) -> Iterator[Job]:
    whole = job if job.parent is None else store.job(job.parent)
    for old in earlier(store, whole):
        part = old if job.part is None else store.part(old.id, job.part)
        if part is not None:
            yield part


def earlier(store: Store, job: Job) -> Iterator[Job]:
    """The jobs that this one repeats or continues, the latest first."""
    while (old_id := retried(job)) is not None and store.exists(old_id):
        job = store.job(old_id)
        yield job
