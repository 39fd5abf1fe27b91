"""Reads of single jobs, their attempts, events and texts, and of pools."""

from __future__ import annotations

from dataclasses import replace

from jobs import clock
from jobs.errors import AmbiguousId, NoSuchJob
from jobs.model import Attempt, Capacity, Event, Job, Pause, Piece, Status, Warmth
from jobs.store import diagnosis, rows
from jobs.store.database import Database

_AHEAD = 100
"""How many queued jobs of each pool a runner considers, and so may start, at a time."""

_LAST = 32
"""How many jobs of a pool, by their start, are looked at for one that has just ended."""

_RECENT = 100
"""How many jobs of a pool count as started recently."""


class Looking(Database):
    """Reads that change nothing. Lists of jobs are in `jobs.store.job_queries`."""

    def job(self, job_id: str) -> Job:
        """The job with exactly this id. Raises `NoSuchJob`."""
        if job_id.isascii():  # typed input may hold surrogates, which SQLite rejects
            for job in self._values(rows.job, self._all("job_by_id", id=job_id)):
                return job
        raise NoSuchJob(f"there is no job {job_id!r}; `ktjob list` lists all jobs")

    def exists(self, job_id: str) -> bool:
        """Whether there is a job with exactly this id."""
        return self._one("job_by_id", id=job_id) is not None

    def by_key(self, key: str) -> Job | None:
        """The job that was submitted under this key."""
        found = self._scalar("job_by_key", key=key)
        return None if found is None else self.job(str(found))

    def find(self, prefix: str) -> Job:
        """The job whose id starts with `prefix`. Raises `NoSuchJob` and `AmbiguousId`."""
        found = self.with_prefix(prefix)
        if not found:
            raise NoSuchJob(f"there is no job {prefix!r}; `ktjob list` lists all jobs")
        if len(found) > 1 and all(job.id != prefix for job in found):
            ids = ", ".join(job.id for job in found)
            raise AmbiguousId(f"{prefix!r} matches several jobs ({ids}); use a longer prefix")
        return next((job for job in found if job.id == prefix), found[0])

    def with_prefix(self, prefix: str) -> list[Job]:
        """The jobs whose ids start so, at most six of them; none for an empty prefix."""
        is_one = prefix and prefix.isascii()
        return self._values(rows.job, self._all("jobs_by_prefix", prefix=prefix) if is_one else [])

    def needs(self, job_id: str) -> list[str]:
        """Ids of the jobs that must have succeeded before this one starts."""
        return [row["needs"] for row in self._all("prerequisites", job_id=job_id)]

    def next_in_line(self) -> list[Job]:
        """The first jobs of each pool that may start now, by priority, then age. Among equal
        priorities, jobs with the document of the pool's last job come first. The number is
        limited for each pool."""
        return self._values(rows.job, self._all("next_in_line", ahead=_AHEAD, now=clock.now()))

    def in_status(self, status: Status) -> list[Job]:
        """All jobs in a status, oldest first."""
        return self._values(rows.job, self._all("jobs_in_status", status=status.value))

    def has_succeeded(self, pool: str, since: str) -> bool:
        """Whether one of the pool's last jobs succeeded at `since` or later (UTC)."""
        return bool(self._scalar("has_succeeded", pool=pool, since=since, most=_LAST))

    def has(self, status: Status) -> bool:
        """Whether any job is in this status."""
        return bool(self._scalar("has_status", status=status.value))

    def open_weight(self, pool: str) -> int:
        """The sum of the weights of a pool's jobs that run or wait."""
        return int(str(self._scalar("open_weight", pool=pool)))

    def capacities(self) -> dict[str, Capacity]:
        """What each pool may run simultaneously."""
        return {row["name"]: rows.capacity(row) for row in self._all("capacities")}

    def pauses(self) -> list[Pause]:
        """What is paused; the whole queue first."""
        return self._values(rows.pause, self._all("pauses"))

    def pauses_of(self, job_id: str) -> list[Pause]:
        """The pauses that keep a job from starting; that of the whole queue first."""
        return self._values(rows.pause, self._all("pauses_of_job", id=job_id))

    def warmth(self) -> dict[str, Warmth]:
        """What each pool with affinity read last; without pools that read none yet."""
        found = [row for row in self._all("warmth", now=clock.now()) if row["document"] is not None]
        return {row["name"]: Warmth(row["document"], row["passes"], row["spec"]) for row in found}

    def recall(self, pool: str, name: str) -> dict[str, object] | None:
        """What was stored about a pool under `name`; None before the first time."""
        found = self._note(pool, name)
        return found if isinstance(found, dict) else None

    def recall_all(self, pool: str, prefix: str) -> dict[str, dict[str, object]]:
        """What was stored about a pool under names that begin so, the newest first."""
        names = [row["name"] for row in self._all("notes_of", pool=pool, prefix=prefix)]
        found = {name: self.recall(pool, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def attempt(self, job: Job) -> Attempt | None:
        """The job's current or last attempt; None before the first."""
        found = self._all("attempt", job_id=job.id, number=job.attempt)
        return next(iter(self._values(rows.attempt, found)), None)

    def attempts(self, job_id: str) -> list[Attempt]:
        """All attempts of a job, in order."""
        return self._values(rows.attempt, self._all("attempts", job_id=job_id))

    def attempts_in_pool(self, pool: str, since: str, asks: str | None = None) -> list[Attempt]:
        """The attempts in a pool that run, or ended without success at `since` or later (UTC), in
        the order in which they began. Of ended jobs only the last hundred are looked at. `asks`:
        the id of the job that wants to know; then jobs that came with another API key are named
        "" instead of their ids."""
        found = self._all("attempts_in_pool", pool=pool, since=since, asks=asks, most=_RECENT)
        names = [row["job_id"] if row["is_known"] else "" for row in found]
        attempts = self._values(rows.attempt, found)
        return [replace(one, job_id=name) for one, name in zip(attempts, names, strict=True)]

    def has_output(self, job_id: str) -> bool:
        """Whether any attempt of a job has written output."""
        return bool(self._scalar("has_output", job_id=job_id))

    def events(self, job_id: str) -> list[Event]:
        """What happened to a job, in order."""
        return self._values(rows.event, self._all("events", job_id=job_id))

    def events_after(self, seq: int, limit: int, job_id: str | None = None) -> list[Event]:
        """The first `limit` events after event `seq`, of all jobs or of one, in order."""
        if job_id is None:
            found = self._all("events_after", after=seq, limit=limit)
        else:
            found = self._all("events_of_after", job_id=job_id, after=seq, limit=limit)
        return self._values(rows.event, found)

    def last_event(self) -> int:
        """The `seq` of the last event of all jobs; 0 where there is none."""
        return int(str(self._scalar("last_event")))

    def document(self, sha256: str) -> bytes:
        """The body of a stored document."""
        body = self._scalar("document", sha256=sha256)
        if not isinstance(body, bytes):
            raise diagnosis.damaged(f"it does not contain document {sha256}", self._path)
        return body

    def pieces(self, job_id: str, number: int, after: int = 0) -> list[Piece]:
        """Output of an attempt that came after piece `after`, in order."""
        found = self._all("pieces", job_id=job_id, number=number, after=after)
        return [Piece(row["seq"], row["channel"], row["text"]) for row in found]

    def is_cancel_requested(self, job_id: str) -> bool:
        return bool(self._scalar("is_cancel_requested", id=job_id))
