"""Reads of jobs that are parts of others. A family is one job with its parts."""

from __future__ import annotations

from jobs.model import Job
from jobs.quick_dataclass import record
from jobs.store import rows
from jobs.store.database import Database


@record(frozen=True)
class Tally:
    """How many parts a job has, by state."""

    total: int
    queued: int
    running: int
    succeeded: int

    @property
    def ended(self) -> int:
        return self.total - self.queued - self.running

    @property
    def failed(self) -> int:
        """How many parts ended without success."""
        return self.ended - self.succeeded


class Families(Database):
    """Reads of families. Changes are in `jobs.store`."""

    def parts(self, job_id: str) -> list[Job]:
        """The jobs that are parts of this one, oldest first."""
        return self._values(rows.job, self._all("parts", parent=job_id))

    def part(self, job_id: str, name: str) -> Job | None:
        """The part of that name, if there is one."""
        found = self._all("part_named", parent=job_id, part=name)
        return next(iter(self._values(rows.job, found)), None)

    def tally(self, job_id: str) -> Tally:
        """The numbers of this job's parts, by state."""
        row = self._all("tally", parent=job_id)[0]
        return Tally(row["total"], row["queued"], row["running"], row["succeeded"])

    def _open_parts(self, job_id: str) -> list[str]:
        """Ids of the parts that have not ended."""
        return [row["id"] for row in self._all("open_parts", parent=job_id)]
