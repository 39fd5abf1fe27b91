"""Reads of jobs that are parts of others. A family is one job with its parts."""

from __future__ import annotations

import json
from collections.abc import Sequence

from jobs import clock
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


@record(frozen=True)
class Sizes:
    """Where the size of a part, and how far it is, are written: JSON paths in its spec and in its
    figures, and the names of two phases."""

    counted: str
    """In the spec: its size before it runs."""
    besides: str
    """In the spec: what its weight has besides its size. The rest of the weight is the size of a
    part that was not counted."""
    measured: str
    """In the figures: its size once it was measured."""
    reading: str
    """The phase whose progress is that of the part."""
    read: str
    """The phase after it."""


@record(frozen=True)
class Work:
    """The parts of one job, added up. Sizes are in the unit of `Sizes`."""

    id: str
    total: int
    queued: int
    running: int
    succeeded: int
    size: int
    done: int
    seconds: float
    """The run time of the parts that succeeded, and of those that are being read."""
    timed: float
    """What these have done in that time."""


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

    def work_of_parts(self, ids: Sequence[str], sizes: Sizes) -> dict[str, Work]:
        """How far the parts of each of these jobs are, by its id; those without parts have none."""
        found = self._all(
            "work_of_parts",
            ids=json.dumps(list(ids)),
            now=clock.now(),
            counted=sizes.counted,
            besides=sizes.besides,
            measured=sizes.measured,
            reading=sizes.reading,
            read=sizes.read,
        )
        return {row["id"]: Work(**dict(row)) for row in found}

    def _open_parts(self, job_id: str) -> list[str]:
        """Ids of the parts that have not ended."""
        return [row["id"] for row in self._all("open_parts", parent=job_id)]
