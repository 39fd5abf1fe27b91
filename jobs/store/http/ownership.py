"""Which jobs belong to which API key, in order and counted."""

from __future__ import annotations

from jobs import clock
from jobs.model import Job, Status
from jobs.store import rows
from jobs.store.database import Database
from jobs.store.groups import Group


class Ownership(Database):
    """Reads of an owner's jobs. Jobs of the command line belong to no key."""

    def owned(self, owner: str, status: Status, limit: int, *, alone: bool = False) -> list[Job]:
        """The first `limit` jobs of an owner, without parts of others: running ones by start time,
        queued ones by priority, then age, finished ones last ended first. `alone`: and without
        those of groups."""
        found = self._all("owned_jobs", owner=owner, status=status.value, limit=limit, alone=alone)
        return self._values(rows.job, found)

    def seen_groups(self, owner: str | None, limit: int) -> list[Group]:
        """The first `limit` groups with jobs of an owner (None: of anybody), in numbers of those:
        groups with jobs that have not ended first, then the last ended. Without jobs that were
        deleted over HTTP."""
        return self._seen_groups(owner, limit, None)

    def seen_group(self, owner: str | None, group_id: str) -> Group | None:
        """One of these groups by its whole id; None if there is none."""
        return next(iter(self._seen_groups(owner, 1, group_id)), None)

    def _seen_groups(self, owner: str | None, limit: int, group_id: str | None) -> list[Group]:
        given = {"owner": owner, "limit": limit, "group_id": group_id, "now": clock.now()}
        return [Group(**dict(row)) for row in self._all("seen_groups", **given)]

    def seen_members(self, owner: str | None, group_id: str, limit: int) -> list[Job]:
        """The first `limit` jobs of such a group, in order."""
        given: dict[str, object] = {"owner": owner, "group_id": group_id, "limit": limit}
        return self._values(rows.job, self._all("seen_members", **given))

    def seen_ids(self, owner: str) -> set[str]:
        """Ids of all jobs of an owner, without deleted ones."""
        return {row["job_id"] for row in self._all("seen_ids", owner=owner)}

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
