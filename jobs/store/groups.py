"""Groups: the jobs of one submit, in their order. A job that is retried hands its place on."""

from __future__ import annotations

import json
from collections.abc import Sequence

from jobs import clock
from jobs.model import Job
from jobs.quick_dataclass import record
from jobs.store import rows
from jobs.store.database import Database

MARK = "g-"
"""The beginning of every group's id: no job's id contains "-"."""
_CHARACTERS = "23456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 6


@record(frozen=True)
class Group:
    """The jobs of one submit, in numbers. Times are UTC, ISO 8601."""

    id: str
    first: str
    """The id of its first job."""
    total: int
    queued: int
    running: int
    succeeded: int
    cancelled: int
    created_at: str
    started_at: str | None
    finished_at: str | None
    """When the last one ended; None before that."""
    seconds: float
    """The run time of all jobs that succeeded, added up."""
    weight: int
    """The weights of all jobs that succeeded."""
    weight_left: int
    """The weights of all jobs that have not ended."""
    seconds_begun: float
    """The run time so far of all jobs that run."""
    last_seq: int
    """The place of its youngest job in the order of submission."""
    held: int
    """How many of its jobs are held."""
    held_at: str | None
    """Since when the first of them is."""


class Groups(Database):
    """Reads of groups, and joining one."""

    def group(self, group_id: str) -> list[Job]:
        """The jobs of a group, in order; empty if there is no such group."""
        return self._values(rows.job, self._all("jobs_of_group", group_id=group_id))

    def groups_with_prefix(self, prefix: str) -> list[str]:
        """The ids of groups that start so, at most six of them, the newest first."""
        if not prefix.isascii():
            return []
        return [row["group_id"] for row in self._all("groups_by_prefix", prefix=prefix)]

    def groups(self, limit: int) -> list[Group]:
        """The first `limit` groups: those with jobs that have not ended first, then the newest."""
        return self._groups(limit, None)

    def group_in_numbers(self, group_id: str) -> Group | None:
        """A group by its whole id; None if there is none."""
        return next(iter(self._groups(1, group_id)), None)

    def waiting_in_groups(
        self, group_ids: Sequence[str]
    ) -> dict[str, list[tuple[frozenset[str], int]]]:
        """Of each of these groups the pools and servers for which jobs wait that are not held, and
        how many; of a job that conducts parts, the server is theirs."""
        found: dict[str, list[tuple[frozenset[str], int]]] = {}
        for row in self._all("waiting_in_groups", ids=json.dumps(list(group_ids))):
            places = frozenset(one for one in (row["pool"], row["server"]) if one is not None)
            found.setdefault(row["group_id"], []).append((places, row["jobs"]))
        return found

    def _groups(self, limit: int, group_id: str | None) -> list[Group]:
        found = self._all("groups", limit=limit, group_id=group_id, now=clock.now())
        return [Group(**dict(row)) for row in found]

    def _join_group(self, ids: Sequence[str], tellings: Sequence[tuple[str, str]]) -> str:
        """Make a group of these jobs, in the open transaction. Returns its id."""
        group_id = self._unused_group_id()
        for place, job_id in enumerate(ids, 1):
            self._run("join_group", id=job_id, group_id=group_id, place=place)
        for kind, target in tellings:
            self._run(
                "insert_group_telling", job_id=ids[0], kind=kind, target=target, group_id=group_id
            )
        return group_id

    def _hand_on_place(self, old: str, new: str) -> None:
        """The job that retries another takes its place in its group."""
        self._run("take_place", old=old, new=new)
        self._run("leave_group", id=old)
        if (group_id := self.job_group(new)) is not None:
            # The group is open again: what was due waits for its end, what was sent is due again.
            self._run("withdraw_group_tellings", group_id=group_id)
            self._run("renew_group_tellings", group_id=group_id, job_id=new)

    def job_group(self, job_id: str) -> str | None:
        """The id of a job's group; None if it has none."""
        found = self._scalar("group_of_job", id=job_id)
        return None if found is None else str(found)

    def _unused_group_id(self) -> str:
        import secrets  # not for commands that only look

        while True:
            group_id = MARK + "".join(secrets.choice(_CHARACTERS) for _ in range(_LENGTH))
            if not self.groups_with_prefix(group_id):
                return group_id
