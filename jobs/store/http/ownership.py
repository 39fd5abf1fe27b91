"""Which jobs belong to which API key, in order and counted."""

from __future__ import annotations

from jobs.model import Job, Status
from jobs.store import rows
from jobs.store.database import Database


class Ownership(Database):
    """Reads of an owner's jobs. Jobs of the command line belong to no key."""

    def owned(self, owner: str, status: Status, limit: int) -> list[Job]:
        """The first `limit` jobs of an owner, without parts of others: running ones by start time,
        queued ones by priority, then age, finished ones last ended first."""
        given = {"owner": owner, "status": status.value, "limit": limit}
        return self._values(rows.job, self._all("owned_jobs", **given))

    def counts_owned(self, owner: str) -> dict[Status, int]:
        """How many jobs of an owner are in each status."""
        found = self._all("count_owned_jobs", owner=owner)
        return {Status(row["status"]): row["jobs"] for row in found}

    def deleted_over_http(self) -> set[str]:
        """Ids of jobs that were deleted over HTTP and are still there."""
        return {row["job_id"] for row in self._all("deleted_requests")}

    def order_of_queue(self, limit: int) -> list[tuple[str, str]]:
        """Id and pool of the first `limit` queued jobs, in their order, without parts."""
        return [(row["id"], row["pool"]) for row in self._all("order_of_queue", limit=limit)]

    def give(self, job_id: str, owner: str) -> None:
        """Make a job that came without a request belong to this owner; one that has an owner keeps
        it."""
        with self._transaction():
            self._run("give_job", job_id=job_id, owner=owner)
