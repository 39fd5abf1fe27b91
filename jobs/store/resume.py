"""Resuming: a new job that takes over the finished parts of an earlier job with the same purpose.

The purpose is a piece of the spec that both have, such as the file that they write. Only the newest
job with that purpose counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from jobs import clock
from jobs.model import Capacity, Job, NewJob
from jobs.store import rerun, rows
from jobs.store.store import Store


@dataclass(frozen=True)
class Heritage:
    """Which parts of an earlier job move to its successor."""

    documents: Mapping[str, frozenset[str]]
    """Part name -> SHA-256 of its document, in each form in which it may have been stored. A part
    with another document does not move."""
    outcomes: frozenset[str]
    """Only parts with one of these outcomes move."""


class Successions(Store):
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
        """Store a job, and move parts of the earlier job with the same purpose to it. If `is_it`
        returns True for the earlier job, return that one instead. The second value is whether the
        job is new.

        `capacities`: of the pools of the job and of its parts. An exception of `is_it` is passed
        on, and nothing is stored. A later retry of the earlier job returns the new one.
        """
        with self._transaction():
            old = self.pursued(new.pool, mark)
            if old is not None and is_it(old):
                return old, False
            at = clock.now()
            for pool, capacity in capacities.items():
                self._set_capacity(pool, capacity)
            if old is not None:
                new = replace(new, submit_key=rerun.key(old.id))
            new_id = self._insert(new, capacities[new.pool], at)
            if old is not None:
                self._hand_over(old, new_id, heritage)
                self._event(old.id, old.attempt, at, "continued", {"as": new_id})
        return self.job(new_id), True

    def _hand_over(self, old: Job, new_id: str, heritage: Heritage) -> None:
        for part in self.parts(old.id):
            outcome = part.outcome.value if part.outcome else ""
            is_same = part.document in heritage.documents.get(part.part or "", frozenset())
            if is_same and outcome in heritage.outcomes:
                self._run("hand_on_part", id=part.id, new=new_id)
