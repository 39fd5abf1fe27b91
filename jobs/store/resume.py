"""Resuming: a new job that takes over finished parts of all earlier jobs with the same purpose.

The purpose is a piece of the spec that they have in common, such as the file that they write. A
part moves from job to job, so each is with the last job that had it: an answer may be with any of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobs import clock
from jobs.model import Capacity, Job, NewJob, Outcome, Status
from jobs.store import rerun, rows
from jobs.store.rerun import Retries


@dataclass(frozen=True)
class Heritage:
    """Which parts of earlier jobs move to their successor."""

    documents: Mapping[str, frozenset[str]]
    """Part name -> SHA-256 of its document, in each form in which it may have been stored. A part
    with another document does not move."""
    outcomes: frozenset[str]
    """Only parts with one of these outcomes move."""


class Successions(Retries):
    """Submits of jobs that may have been submitted before."""

    def pursued(self, pool: str, mark: str) -> Job | None:
        """The newest job in this pool that has `mark` in its spec."""
        found = self._all("newest_marked", pool=pool, mark=mark)
        return next(iter(self._values(rows.job, found)), None)

    def pursue(
        self,
        new: NewJob,
        mark: str,
        capacities: Mapping[str, Capacity],
        heritage: Heritage,
        is_it: Callable[[Job], bool],
    ) -> tuple[Job, bool]:
        """Store a job, and move parts of all earlier jobs with the same purpose to it. If `is_it`
        returns True for the newest of them, return that one instead. The second value is whether
        the job is new.

        `capacities`: of the pools of the job and of its parts. An exception of `is_it` is passed
        on. Raises `IllegalTransition` while one of these parts is still running for an earlier job.
        Nothing is stored then. A later retry of the earlier job returns the new one.
        """
        with self._transaction():
            found = self.pursued(new.pool, mark)
            if found is not None and is_it(found):
                return found, False
            new_id = self._continue(found, new, mark, capacities, heritage)
        return self.job(new_id), True

    def retry_pursued(
        self, job_id: str, mark: str, heritage: Heritage, is_it: Callable[[Job], bool]
    ) -> tuple[Job, bool]:
        """Retry a job that has `mark` in its spec: the new job takes over parts of all jobs with
        this purpose, not only of the retried one. Otherwise as `pursue`. Raises what `retry`
        raises, too."""
        with self._transaction():
            old = self.job(job_id)
            rerun.require_unsuccessful(old)
            newest = self.pursued(old.pool, mark)
            if newest is not None and newest.id != old.id and is_it(newest):
                return newest, False
            self._refuse_open_parts(old)
            capacities = {old.pool: self.capacities()[old.pool]}
            new_id = self._continue(newest, self._again(old), mark, capacities, heritage)
            self._run("hand_on_owner", old=old.id, new=new_id)
            self._event(old.id, old.attempt, clock.now(), "retried", {"as": new_id})
        return self.job(new_id), True

    def _continue(
        self,
        newest: Job | None,
        new: NewJob,
        mark: str,
        capacities: Mapping[str, Capacity],
        heritage: Heritage,
    ) -> str:
        moving = self._moving(new.pool, mark, heritage)
        at = clock.now()
        for pool, capacity in capacities.items():
            self._set_capacity(pool, capacity)
        if newest is not None:
            new = replace(new, submit_key=rerun.key(newest.id))
        new_id = self._insert(new, capacities[new.pool], at)
        for part_id in moving:
            self._run("hand_on_part", id=part_id, new=new_id)
        if newest is not None:
            self._event(newest.id, newest.attempt, at, "continued", {"as": new_id})
        return new_id

    def _moving(self, pool: str, mark: str, heritage: Heritage) -> list[str]:
        """Ids of the parts to move, one for each name. An answer counts, whenever it was given;
        without one, the part that was stored last decides."""
        chosen: dict[str, Any] = {}
        for row in self._all("parts_of_marked", pool=pool, mark=mark):  # oldest first
            name = str(row["part"])
            if row["document"] not in heritage.documents.get(name, frozenset()):
                continue
            known = chosen.get(name)
            is_answered = row["outcome"] == Outcome.SUCCEEDED.value
            if known is None or is_answered or known["outcome"] != Outcome.SUCCEEDED.value:
                chosen[name] = row
        for row in chosen.values():
            if row["status"] != Status.FINISHED.value:
                raise rerun.part_not_ended(row["id"], row["parent"])
        return [row["id"] for row in chosen.values() if row["outcome"] in heritage.outcomes]
