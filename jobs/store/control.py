"""What a user may change about jobs that wait: pauses, holds, priorities, and what was submitted.

Every change is one transaction, so it comes either before a worker's claim of a job or after it. A
job that was claimed is never touched: a server may compute for it already.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from jobs import clock
from jobs.errors import IllegalTransition
from jobs.model import Capacity, Job, NewJob, Status
from jobs.quick_dataclass import record
from jobs.store.inserts import WHOLE_QUEUE
from jobs.store.store import Store

HIGHEST = 10**9
"""The largest priority, as `ktjob submit` takes it."""

Refusals = dict[str, str]
"""Why a change was refused, by job id."""


@record(frozen=True)
class Replacement:
    """A waiting job with other contents."""

    before: Job
    """The job that `new` was made of."""
    new: NewJob
    capacities: Mapping[str, Capacity]
    changes: Mapping[str, object]
    """For its history."""


class Control(Store):
    """Changes of the queue. Jobs that only conduct parts have sent nothing themselves: theirs are
    changed while they run, and so are their parts that wait."""

    def pause(self, pool: str | None) -> bool:
        """Let no job of this pool start from now on; None: no job at all. False if that was paused
        before. Running jobs continue."""
        return self._switch("pause", "paused", pool)

    def resume(self, pool: str | None) -> bool:
        """End the pause of this pool, or that of the whole queue. False if there was none."""
        return self._switch("resume", "resumed", pool)

    def resume_all(self) -> list[str | None]:
        """End all pauses. Returns what was paused: pools; None: the whole queue."""
        return [one.pool for one in self.pauses() if self.resume(one.pool)]

    def _switch(self, query: str, kind: str, pool: str | None) -> bool:
        with self._transaction():
            at, name = clock.now(), pool or ""
            if not self._run(query, pool=name, at=at):
                return False
            data = json.dumps({"what": pool or WHOLE_QUEUE}, ensure_ascii=False)
            self._run("note_waiting", pool=name, at=at, kind=kind, data=data)
        return True

    def hold(self, ids: Sequence[str], conducts: Callable[[Job], bool]) -> Refusals:
        """Keep jobs from starting until `release`, with their parts. `conducts`: whether a job's
        work is done by its parts. Raises `NoSuchJob`; then nothing is changed."""

        def hold(job: Job, at: str) -> None:
            _require_waiting(job, conducts, "held")
            if job.held_at is None:
                self._run("hold_family", id=job.id, at=at)
                self._event(job.id, job.attempt, at, "held", {})

        return self._each(ids, hold)

    def release(self, ids: Sequence[str]) -> Refusals:
        """Let held jobs start again. Raises `NoSuchJob`; then nothing is changed."""

        def release(job: Job, at: str) -> None:
            if job.status is Status.FINISHED:
                raise _has_ended(job)
            if self._run("release_family", id=job.id):
                self._event(job.id, job.attempt, at, "released", {})

        return self._each(ids, release)

    def prioritize(
        self, ids: Sequence[str], priority: int | None, conducts: Callable[[Job], bool]
    ) -> Refusals:
        """Set the priority of waiting jobs and of their parts. None: before all others that wait,
        in the order of `ids`. Raises `NoSuchJob`; then nothing is changed."""

        def prioritize(job: Job, at: str) -> None:
            _require_waiting(job, conducts, "given another priority")
            new = self._above(job) if priority is None else priority
            if new != job.priority:
                self._run("set_priority", id=job.id, priority=new)
                change: dict[str, object] = {"from": job.priority, "to": new}
                self._event(job.id, job.attempt, at, "priority changed", change)

        return self._each(ids if priority is not None else reversed(ids), prioritize)

    def _above(self, job: Job) -> int:
        """The least priority with which it is before all other jobs that wait."""
        highest = int(str(self._scalar("highest_priority", id=job.id)))
        if highest >= HIGHEST:
            raise IllegalTransition(
                f"job {job.id} cannot be put first: another waiting job has the highest priority "
                f"that there is ({HIGHEST:,}). Lower that one first with ktjob priority"
            )
        return job.priority if job.priority > highest else highest + 1

    def _each(self, ids: Iterable[str], change: Callable[[Job, str], None]) -> Refusals:
        """Apply a change to each job, in one transaction. A `change` that raises has written
        nothing."""
        refused: Refusals = {}
        with self._transaction():
            at = clock.now()
            for job_id in ids:
                try:
                    change(self.job(job_id), at)
                except IllegalTransition as error:
                    refused[job_id] = str(error)
        return refused

    def change(self, several: Sequence[Replacement]) -> list[Job]:
        """Replace what was submitted with waiting jobs: pool, spec, weight, attempts, label and
        start time. All of them, or none, in one transaction.

        What a worker reads after its claim is either all as before or all new. Raises
        `IllegalTransition`, with nothing changed, if one has begun, ended or changed since.
        """
        with self._transaction():
            at = clock.now()
            for one in several:
                self._replace(one, at)
        return [self.job(one.before.id) for one in several]

    def _replace(self, one: Replacement, at: str) -> None:
        before, new = one.before, one.new
        for pool, capacity in one.capacities.items():
            self._set_capacity(pool, capacity)
        is_replaced = self._run(
            "replace_queued_job",
            id=before.id,
            pool=new.pool,
            weight=new.weight,
            spec=new.spec,
            max_attempts=new.max_attempts,
            label=new.label,
            not_before=new.not_before,
            spec_before=before.spec,
            label_before=before.label,
            not_before_before=before.not_before,
        )
        if not is_replaced:
            job = self.job(before.id)
            require_editable(job)
            raise IllegalTransition(
                f"job {job.id} was changed by another command meanwhile, so it was not edited. "
                "Look at it, then try again"
            )
        self._event(before.id, 0, at, "edited", dict(one.changes))


def require_editable(job: Job) -> None:
    """Raises `IllegalTransition` for a job that is not as it was submitted."""
    again = f"To send the document with other options: ktjob rerun {job.id}"
    if job.parent is not None:
        raise IllegalTransition(
            f"job {job.id} is a part of job {job.parent} and cannot be edited alone. {again}"
        )
    if job.status is Status.FINISHED:
        raise IllegalTransition(
            f"job {job.id} has ended ({job.state}), so it was not edited. {again}"
        )
    if job.status is Status.RUNNING:
        raise IllegalTransition(
            f"job {job.id} has started, so it was not edited: its request is not changed any more. "
            f"To end it: ktjob cancel {job.id}. {again}"
        )
    if job.attempt:
        raise IllegalTransition(
            f"job {job.id} waits for another attempt, so it was not edited: its first request may "
            f"still be with the server. To end it: ktjob cancel {job.id}. {again}"
        )


def _require_waiting(job: Job, conducts: Callable[[Job], bool], what: str) -> None:
    if job.status is Status.FINISHED:
        raise _has_ended(job)
    if job.status is Status.RUNNING and not conducts(job):
        raise IllegalTransition(
            f"job {job.id} is running, so it was not {what}: its request is with the server, or "
            f"about to be sent, and its prefill is never paid twice. To end it: ktjob cancel "
            f"{job.id}"
        )


def _has_ended(job: Job) -> IllegalTransition:
    return IllegalTransition(f"job {job.id} has ended ({job.state}): it does not wait")
