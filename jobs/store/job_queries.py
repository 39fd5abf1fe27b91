"""Lists of jobs: bounded, and read with a few statements however many jobs there are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby

from jobs.errors import NoSuchJob
from jobs.model import Attempt, Job, Status
from jobs.quick_dataclass import record
from jobs.store import rows
from jobs.store.database import Database
from jobs.store.files.opening import explained

END = 2**62
"""Larger than every job's `seq`."""


@record(frozen=True)
class Filter:
    """Which jobs to list. A field that is None or empty does not filter."""

    states: tuple[str, ...] = ()
    """Values of `Job.state`."""
    since: str | None = None
    """Submitted then or later: UTC, ISO 8601."""
    until: str | None = None
    """Submitted before: UTC, ISO 8601."""
    label: str | None = None
    """A pattern with * and ?, as in SQLite's GLOB."""
    group_id: str | None = None
    """The whole id of a group."""
    pool: str | None = None
    """A substring of the pool's name."""
    parts: bool = False
    """Whether to include jobs that are parts of others."""

    def values(self) -> dict[str, object]:
        """The parameters of the SQL statement."""
        return {**asdict(self), "states": json.dumps(self.states)}


@record(frozen=True)
class Need:
    """A job that must succeed first. A deleted job counts as succeeded."""

    id: str
    is_met: bool


class Browsing(Database):
    """Reads of many jobs."""

    def version(self) -> tuple[int, int]:
        """A value that changes with every commit of any process."""
        with explained(self._path):
            changed = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return int(changed), self._connection.total_changes

    def newest(self, limit: int) -> list[Job]:
        """The last `limit` jobs, newest first, without those that are parts of others."""
        return self._jobs("newest_jobs", limit=limit)

    def running(self, limit: int, *, alone: bool = False) -> list[Job]:
        """The first `limit` running jobs, by start time, without parts of others; `alone`: and
        without those of groups."""
        return self._jobs("running_jobs", limit=limit, alone=alone)

    def waiting(self, limit: int, *, alone: bool = False) -> list[Job]:
        """The first `limit` queued jobs, by priority, then age, without parts of others; `alone`:
        and without those of groups."""
        return self._jobs("waiting_jobs", limit=limit, alone=alone)

    def ended(self, limit: int, *, alone: bool = False) -> list[Job]:
        """The last `limit` finished jobs, last ended first, without parts of others and without
        those that a newer job retries; `alone`: and without those of groups."""
        return self._jobs("ended_jobs", limit=limit, alone=alone)

    def retried_as(self, jobs: Iterable[Job]) -> dict[str, str]:
        """The ids of the jobs that retry some of these, by their ids."""
        found = self._all("retried_as", ids=_ids(jobs))
        return {row["id"]: row["again"] for row in found if row["again"] is not None}

    def count_waiting(self) -> dict[str, int]:
        """How many jobs are queued in each pool that has any."""
        return {row["pool"]: row["jobs"] for row in self._all("count_waiting_by_pool")}

    def counts(self) -> dict[Status, int]:
        """How many jobs are in each status, without parts of others and without those that a newer
        job retries."""
        found = {Status(row["status"]): row["jobs"] for row in self._all("count_by_status")}
        for row in self._all("count_beside_by_status"):
            status = Status(row["status"])  # a job may have changed status between the two counts
            found[status] = max(0, found.get(status, 0) - row["jobs"])
        return found

    def listed(self, wanted: Filter, limit: int, before: int = END) -> list[Job]:
        """The last `limit` matching jobs whose `seq` is below `before`, newest first."""
        return self._jobs("listed_jobs", limit=limit, before=before, **wanted.values())

    def count(self, wanted: Filter) -> int:
        """How many jobs match."""
        return int(str(self._scalar("count_listed", **wanted.values())))

    def jobs_of(self, ids: Sequence[str]) -> list[Job]:
        """The jobs with exactly these ids, in this order. Raises `NoSuchJob`."""
        found = {job.id: job for job in self._jobs("jobs_by_ids", ids=json.dumps(list(ids)))}
        for job_id in ids:
            if job_id not in found:
                raise NoSuchJob(f"there is no job {job_id!r}; `ktjob list` lists all jobs")
        return [found[job_id] for job_id in ids]

    def current_attempts(self, jobs: Iterable[Job]) -> dict[str, Attempt]:
        """The current or last attempt of each job that has one, by job id."""
        found = self._values(rows.attempt, self._all("current_attempts", ids=_ids(jobs)))
        return {attempt.job_id: attempt for attempt in found}

    def needs_of(self, jobs: Iterable[Job]) -> dict[str, tuple[Need, ...]]:
        """The prerequisites of each job that has any, by job id."""
        found = self._all("needs_of", ids=_ids(jobs))
        return {
            job_id: tuple(Need(row["needs"], bool(row["is_met"])) for row in of_it)
            for job_id, of_it in groupby(found, lambda row: row["job_id"])
        }

    def texts(self, jobs: Sequence[Job], channel: str) -> dict[str, str]:
        """What each job wrote on `channel`, in its last attempt that wrote anything, by job id."""
        found = self._all("texts", ids=_ids(jobs), channel=channel)
        return {row["job_id"]: row["text"] for row in found if row["text"]}

    def _jobs(self, query: str, **values: object) -> list[Job]:
        return self._values(rows.job, self._all(query, **values))


def _ids(jobs: Iterable[Job]) -> str:
    return json.dumps([job.id for job in jobs])
