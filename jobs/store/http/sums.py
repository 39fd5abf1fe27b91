"""Sums over all jobs, for monitoring. They are read from the store each time, so that they survive
every restart."""

from __future__ import annotations

from jobs import clock
from jobs.quick_dataclass import record
from jobs.store.database import Database

RECENT_JOBS = 1000
"""Of how many of the newest jobs times are read."""


@record(frozen=True)
class PoolLoad:
    """The open jobs of one server, without those that only wait for their parts. `reserved` and
    `capacity` in tokens."""

    pool: str
    queued: int
    running: int
    reserved: int
    capacity: int


@record(frozen=True)
class Tokens:
    """What the stored jobs of one surface read and wrote, all attempts together."""

    surface: str
    prompt: int
    cached: int
    """How many of `prompt` the servers had read before."""
    completion: int


@record(frozen=True)
class RecentTimes:
    """Seconds that the newest jobs waited: in the queue, and from the request to the first token.
    In no order."""

    queue_wait: tuple[float, ...]
    first_token: tuple[float, ...]


class Sums(Database):
    """Reads that change nothing. A surface is that of a request over HTTP; "command" for jobs of
    the command line and of Python programs, "part" for parts of other jobs."""

    def jobs_by_state(self) -> dict[tuple[str, str], int]:
        """How many jobs there are, by surface and state."""
        found = self._all("jobs_by_state")
        return {(row["surface"], row["state"]): row["jobs"] for row in found}

    def submitted_ever(self) -> int:
        """How many jobs were ever submitted here, deleted ones and parts too."""
        return int(str(self._scalar("submitted_ever") or 0))

    def pool_loads(self) -> list[PoolLoad]:
        """The load of each server that any job was ever submitted for."""
        found = self._all("pool_loads")
        return [
            PoolLoad(row["pool"], row["queued"], row["running"], row["reserved"], row["capacity"])
            for row in found
        ]

    def tokens(self) -> list[Tokens]:
        """The tokens of all stored jobs. A job that is made of parts counts by them."""
        found = self._all("tokens_by_surface")
        return [
            Tokens(row["surface"], row["prompt"], row["cached"], row["completion"]) for row in found
        ]

    def recent_times(self) -> RecentTimes:
        """Of the newest `RECENT_JOBS` jobs."""
        rows = list(self._all("recent_times", limit=RECENT_JOBS))
        waits = [
            max(0.0, clock.seconds_between(row["due_at"], row["started_at"]))
            for row in rows
            if row["started_at"] is not None
        ]
        firsts = [row["first_token"] for row in rows if row["first_token"] is not None]
        return RecentTimes(tuple(waits), tuple(float(one) for one in firsts))
