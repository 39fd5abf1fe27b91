"""The only access to jobs: SQL guards every transition, and every change of state writes an event
row in the same transaction. The time of a transition is read inside its transaction, so the order
of times is the order of commits.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from jobs import clock
from jobs.model import Attempt, Identity, Job, Outcome
from jobs.processes import namespaces
from jobs.store.families import Families
from jobs.store.inserts import Submitting
from jobs.store.job_queries import Browsing

CLOCK_SLACK_SECONDS = 60.0
"""A job that was submitted so much later than now was submitted by another clock."""


class Store(Submitting, Browsing, Families):
    """Jobs in one state directory."""

    def claim(self, job_id: str, worker: Identity) -> Attempt:
        """QUEUED to RUNNING, by and for one worker. Raises `IllegalTransition` if another worker
        was first, the job has a cancel request, or its pool is full by now."""
        with self._transaction():
            at = clock.now()
            self._edge("claim_job", id=job_id, at=at)
            self._edge(
                "insert_attempt",
                id=job_id,
                rid=os.urandom(16).hex(),
                boot_id=worker.boot_id,
                pid=worker.pid,
                start_ticks=worker.start_ticks,
                phase="starting",
                at=at,
            )
            job = self.job(job_id)
            who: dict[str, object] = {"pid": worker.pid, "pid_namespace": namespaces.own()}
            self._event(job_id, job.attempt, at, "claimed", who)
        attempt = self.attempt(job)
        assert attempt is not None
        return attempt

    def finish(
        self, job_id: str, number: int, outcome: Outcome, cause: str | None, message: str | None
    ) -> None:
        """RUNNING to FINISHED, for attempt `number` only. Parts that have not ended are cancelled:
        their results are not needed any more. Raises `IllegalTransition`."""
        how = {"outcome": outcome.value, "cause": cause, "message": message}
        with self._transaction():
            at = clock.now()
            self._edge("finish_job", id=job_id, number=number, at=at, **how)
            self._edge("finish_attempt", id=job_id, number=number, at=at, **how)
            self._event(job_id, number, at, "finished", {k: v for k, v in how.items() if v})
            for part in self._open_parts(job_id):
                self._cancel(part, at, "cancelled with the job that it is a part of")

    def requeue(self, job_id: str, number: int, cause: str, message: str) -> bool:
        """RUNNING to QUEUED for another attempt, if attempt `number` is the current one and not the
        last allowed one, and there is no cancel request. Otherwise False, with nothing changed."""
        with self._transaction():
            at = clock.now()
            why: dict[str, object] = {"cause": cause, "message": message}
            if not self._run("requeue_job", id=job_id, number=number, **why):
                return False
            self._edge("finish_attempt", id=job_id, number=number, at=at, outcome="LOST", **why)
            self._event(job_id, number, at, "queued again", why)
        return True

    def fail_doomed(self) -> None:
        """QUEUED to FINISHED, FAILED, for each job with a prerequisite that did not succeed."""
        while found := self._all("doomed"):
            with self._transaction():
                at = clock.now()
                for row in found:
                    message = (
                        f"its prerequisite, job {row['needs']}, ended as {row['outcome']}. Fix "
                        f"that, then retry both: ktjob retry {row['needs']}, then ktjob retry "
                        f"{row['id']}"
                    )
                    how = {"cause": "prerequisite_failed", "message": message}
                    if self._run("fail_queued_job", id=row["id"], at=at, **how):
                        self._event(row["id"], 0, at, "finished", {"outcome": "FAILED", **how})

    def renew_delays(self) -> None:
        """For queued jobs that were to start some time after their submit, by a clock that was set
        back since: let that time begin now, once. Otherwise they would wait for as long as the
        clock was wrong, perhaps for years."""
        later = clock.ago(-CLOCK_SLACK_SECONDS)
        for row in self._all("delayed_jobs_of_the_future", now=clock.now(), later=later):
            events = self.events(row["id"])
            if any(event.kind == "clock set back" for event in events):
                continue
            delay = next(
                (e.data.get("delay_seconds") for e in events if e.kind == "submitted"), None
            )
            if not isinstance(delay, (int, float)):
                continue
            with self._transaction():
                at, not_before = clock.now(), clock.ago(-delay)
                self._run("set_not_before", id=row["id"], not_before=not_before)
                self._event(row["id"], 0, at, "clock set back", {"not_before": not_before})

    def request_cancel(self, job_id: str) -> Job:
        """Finish a queued job as CANCELLED, or record the cancel request of a running one; the same
        for its parts, whether or not their conductor lives. Idempotent."""
        return self.request_cancels([job_id])[0]

    def request_cancels(self, ids: Sequence[str]) -> list[Job]:
        """The same for several jobs, in one transaction. Raises `NoSuchJob`."""
        with self._transaction():
            at = clock.now()
            for job_id in ids:
                self._cancel(job_id, at, "cancelled before it started")
                for part in self._open_parts(job_id):
                    self._cancel(part, at, "cancelled with the job that it is a part of")
        return [self.job(job_id) for job_id in ids]

    def withdraw(self, job_id: str) -> None:
        """Finish a part as CANCELLED if it is queued; a running part continues."""
        with self._transaction():
            self._cancel_queued(job_id, clock.now(), "not started, because another part failed")

    def _cancel(self, job_id: str, at: str, message: str) -> None:
        if self._cancel_queued(job_id, at, message):
            return
        if self._run("wish_cancel", id=job_id, at=at):
            self._event(job_id, self.job(job_id).attempt, at, "cancel wished", {})

    def _cancel_queued(self, job_id: str, at: str, message: str) -> bool:
        is_cancelled = self._run("cancel_queued_job", id=job_id, at=at, message=message) == 1
        if is_cancelled:
            self._event(job_id, 0, at, "finished", {"outcome": "CANCELLED"})
        return is_cancelled
