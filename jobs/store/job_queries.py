"""Lists of jobs: bounded, and in a few statements however many there are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from jobs.model import Attempt, Job, Status
from jobs.store import rows
from jobs.store.database import Database, explained

END = 2**62
"""Above every job's place in the order of submission."""


@dataclass(frozen=True)
class Filter:
    """Which jobs a list is of. Whatever is None, or empty, leaves none out."""

    states: tuple[str, ...] = ()
    """Of `Job.state`."""
    since: str | None = None
    """Submitted then or later: UTC, ISO 8601."""
    until: str | None = None
    """Submitted before."""
    label: str | None = None
    """A pattern with * and ?, SQLite's GLOB."""
    pool: str | None = None
    """A part of the pool's name."""
    parts: bool = False
    """Those too that are parts of others."""

    def values(self) -> dict[str, object]:
        """For a statement."""
        return {**asdict(self), "states": json.dumps(self.states)}


@dataclass(frozen=True)
class Need:
    """A job that must have succeeded first. One that was forgotten counts as such."""

    id: str
    is_met: bool


class Browsing(Database):
    """What is read of many jobs at once."""

    def version(self) -> tuple[int, int]:
        """Another one after any commit, whoever made it."""
        with explained(self._path):
            changed = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return int(changed), self._connection.total_changes

    def newest(self, limit: int) -> list[Job]:
        """The last `limit` jobs, newest first, without those that are parts of others."""
        return self._jobs("newest_jobs", limit=limit)

    def running(self, limit: int) -> list[Job]:
        """The first `limit` that run, by when they started; no parts of others."""
        return self._jobs("running_jobs", limit=limit)

    def waiting(self, limit: int) -> list[Job]:
        """The first `limit` that wait, by priority, then age; no parts of others."""
        return self._jobs("waiting_jobs", limit=limit)

    def ended(self, limit: int) -> list[Job]:
        """The last `limit` that ended, last first; no parts of others."""
        return self._jobs("ended_jobs", limit=limit)

    def counts(self) -> dict[Status, int]:
        """How many jobs are in each status, without parts of others."""
        found = {Status(row["status"]): row["jobs"] for row in self._all("count_by_status")}
        for row in self._all("count_parts_by_status"):
            status = Status(row["status"])  # one may have changed since the other count
            found[status] = max(0, found.get(status, 0) - row["jobs"])
        return found

    def listed(self, wanted: Filter, limit: int, before: int = END) -> list[Job]:
        """The last `limit` of those that were submitted before the one in place `before`, newest
        first."""
        return self._jobs("listed_jobs", limit=limit, before=before, **wanted.values())

    def count(self, wanted: Filter) -> int:
        """How many there are."""
        return int(str(self._scalar("count_listed", **wanted.values())))

    def current_attempts(self, jobs: Iterable[Job]) -> dict[str, Attempt]:
        """The current or last attempt of each that has one, by the job's id."""
        found = self._values(rows.attempt, self._all("current_attempts", ids=_ids(jobs)))
        return {attempt.job_id: attempt for attempt in found}

    def needs_of(self, jobs: Iterable[Job]) -> dict[str, tuple[Need, ...]]:
        """What each that waits for others has to wait for, by the job's id."""
        found = self._all("needs_of", ids=_ids(jobs))
        return {
            job_id: tuple(Need(row["needs"], bool(row["is_met"])) for row in of_it)
            for job_id, of_it in groupby(found, lambda row: row["job_id"])
        }

    def texts(self, jobs: Sequence[Job], channel: str) -> dict[str, str]:
        """What each wrote on that channel, in its last attempt that wrote anything, by the job's
        id."""
        found = self._all("texts", ids=_ids(jobs), channel=channel)
        return {row["job_id"]: row["text"] for row in found if row["text"]}

    def _jobs(self, query: str, **values: object) -> list[Job]:
        return self._values(rows.job, self._all(query, **values))


def _ids(jobs: Iterable[Job]) -> str:
    return json.dumps([job.id for job in jobs])
