"""Maintenance of the state directory: deleting, shrinking, checking, backup and log rotation."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs import clock
from jobs.errors import IllegalTransition
from jobs.model import Job, Status
from jobs.processes import identity
from jobs.store import rerun, rows
from jobs.store.files import backup as store_backup
from jobs.store.files.opening import explained
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

SLICE_PAGES = 1000
"""Pages (4 MB) freed in one transaction: a running worker waits milliseconds for it."""
REBUILD_BYTES = 500_000_000
"""A database of an early version cannot free space in slices. It is rebuilt as a whole, which locks
it for seconds: only up to this size, and never while a job runs."""
CHECKPOINT_WAIT_MS = 1000
"""How long a checkpoint waits for readers; it blocks writers meanwhile."""


@dataclass(frozen=True)
class Holdings:
    """What a database holds. Sizes in bytes."""

    size: int
    """Of the pages in use."""
    jobs: int
    finished: int
    oldest: str | None
    """When the first finished job ended: UTC, ISO 8601."""


class Upkeep(Store):
    """Maintenance of a database."""

    def holdings(self) -> Holdings:
        """How much the database holds, and how many jobs could be deleted."""
        row = self._all("how_many")[0]
        return Holdings(self.live_bytes(), row["jobs"], row["finished"], row["oldest"])

    def live_bytes(self) -> int:
        """The size of all pages in use: the smallest possible size of the file."""
        pages, free = self._pragma("page_count"), self._pragma("freelist_count")
        return (pages - free) * self._pragma("page_size")

    def finished_before(self, age_seconds: float) -> list[str]:
        """Ids of jobs that ended at least `age_seconds` ago, first ended first.

        After the clock was set, a job that ended a minute ago may seem days old. So a job is left
        out when its last worker began less than `age_seconds` ago by the time since boot.
        """
        before = clock.ago(age_seconds)
        jobs = self._values(rows.job, self._all("finished_before", before=before))
        return [job.id for job in jobs if not self._began_within(job, age_seconds)]

    def _began_within(self, job: Job, seconds: float) -> bool:
        attempt = self.attempt(job)
        since = identity.seconds_since_start(attempt.worker) if attempt else None
        return since is not None and since < seconds

    def to_fit(self, size: int) -> list[str]:
        """Ids of finished jobs to delete, first ended first, until all pages in use are about
        `size` bytes; all of them where that is not enough. Parts are deleted with their job."""
        found = self._all("sizes")
        users = Counter(row["document"] for row in found)
        families: dict[str, list[Any]] = {}
        for row in found:
            families.setdefault(row["parent"] or row["id"], []).append(row)
        left, ids = self.live_bytes(), []
        for row in (row for row in found if row["parent"] is None):
            if left <= size:
                break
            family = families[row["id"]]
            if any(one["status"] != Status.FINISHED.value for one in family):
                continue
            ids.append(row["id"])
            for one in family:
                left -= one["own_size"]
                users[one["document"]] -= 1
                if not users[one["document"]]:
                    left -= one["document_size"] or 0
        return ids

    def remove(self, job_id: str) -> list[str]:
        """Delete a finished job and its parts, their output and events, and their documents if no
        other job uses them. Parts that the job took over from an earlier job go back to that one,
        if it still exists: its retry would send them again. Returns the ids of the deleted jobs.

        Raises `NoSuchJob`, and `IllegalTransition` for a part and for a job that has not ended or
        has a part that has not ended.
        """
        with self._transaction():
            job = self.job(job_id)
            if job.parent is not None:
                raise is_part(job)
            for earlier in rerun.earlier(self, job):
                self._run("set_aside_parts", job=job.id, earlier=earlier.id)
                self._run("return_parts", job=job.id, earlier=earlier.id)
            family = [*self.parts(job_id), job]
            for one in family:
                if one.status is not Status.FINISHED:
                    raise not_ended(one.parent or one.id)
                self._remove_one(one)
            self._close_gap(job)
        return [one.id for one in family]

    def _close_gap(self, job: Job) -> None:
        """The successor of a deleted job now follows that job's own predecessor: a retry of the
        latter finds the answers that have moved on."""
        if (before := rerun.retried(job)) is not None:
            self._run("change_key", old=rerun.key(job.id), new=rerun.key(before))

    def _remove_one(self, job: Job) -> None:
        for query in (
            "remove_pieces",
            "remove_events",
            "remove_attempts",
            "remove_prerequisites",
            "pass_on_tellings",
            "remove_tellings",
        ):
            self._run(query, id=job.id)
        if not self._run("remove_job", id=job.id):
            raise not_ended(job.id)
        self._run("remove_document_if_unused", document=job.document)

    def backup(self, target: Path) -> None:
        """Copy the database as it is at one moment, while it is in use; atomically.

        Raises `StoreUnusable` when the copy cannot be written.
        """
        store_backup.copy(self._path, target)

    def give_back(self) -> int:
        """Return the space of deleted jobs to the disk, without long locks. Returns how many bytes
        could not be freed now; new jobs use them."""
        with explained(self._path):
            if self._pragma("auto_vacuum") == 0:
                self._rebuild()
            before = -1
            while self._pragma("auto_vacuum") and before != (free := self._free_pages()) > 0:
                before = free
                self._connection.execute(f"PRAGMA incremental_vacuum({SLICE_PAGES})").fetchall()
        self.checkpoint()
        return self._free_pages() * self._pragma("page_size")

    def _rebuild(self) -> None:
        if self.live_bytes() <= REBUILD_BYTES and not self.has(Status.RUNNING):
            self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._connection.execute("VACUUM")

    def _free_pages(self) -> int:
        return self._pragma("freelist_count")

    def _pragma(self, name: str) -> int:
        with explained(self._path):
            return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def problems(self) -> list[str]:
        """The problems that SQLite finds in the database; empty when there are none. Raises
        `StoreUnusable` when the database is too damaged to be checked."""
        with explained(self._path):
            found = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check")]
            broken = self._connection.execute("PRAGMA foreign_key_check").fetchall()
        problems = [line for line in found if line != "ok"]
        return problems + [f"row {row[1]} of {row[0]} has a broken reference" for row in broken]

    def checkpoint(self) -> None:
        """Write the write-ahead log into the database and empty it, if no process reads it now."""
        with explained(self._path):
            patient = self._pragma("busy_timeout")
            self._connection.execute(f"PRAGMA busy_timeout = {CHECKPOINT_WAIT_MS}")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._connection.execute(f"PRAGMA busy_timeout = {patient}")


def not_ended(job_id: str) -> IllegalTransition:
    """The error for deleting a job that has not ended."""
    return IllegalTransition(
        f"job {job_id} has not ended, so it was not deleted. Cancel it first: ktjob cancel {job_id}"
    )


def is_part(job: Job) -> IllegalTransition:
    """The error for deleting a part of a job."""
    return IllegalTransition(
        f"job {job.id} is a part of job {job.parent} and cannot be deleted alone. Delete the whole "
        f"job: ktjob rm {job.parent}"
    )


def delete_job(state: StateDir, job_id: str) -> None:
    """Delete a finished job with its parts and files. New jobs use its space until `give_back`
    returns it to the disk. Raises what `Upkeep.remove` raises."""
    with Upkeep.open(state) as upkeep:
        removed = upkeep.remove(job_id)
    for one in removed:
        _remove_files(state, one)


def _remove_files(state: StateDir, job_id: str) -> None:
    state.job_log(job_id).unlink(missing_ok=True)
    # Safe to remove, unlike other locks: no process ever takes a finished job's lock again.
    state.worker_lock(job_id).unlink(missing_ok=True)
    for left in state.root.glob(f"told/{job_id}.*"):  # left by a notification command's kill
        left.unlink(missing_ok=True)
    for copy in state.opened.glob(f"{job_id}.*"):
        copy.unlink(missing_ok=True)


def remove_orphans(state: StateDir) -> int:
    """Delete logs, locks and copies of jobs that no longer exist (left by a kill in `forget`), and
    drafts of backups. Returns how many files."""
    # List files first, then read the database: a job is stored before its files exist.
    files = {path: path.stem for path in state.root.glob("workers/*.lock")}
    files.update({path: path.stem for path in state.root.glob("logs/*.log")})
    files.update({path: path.name.partition(".")[0] for path in state.root.glob("opened/*.txt")})
    with Upkeep.open(state) as upkeep:
        gone = [path for path, job_id in files.items() if not upkeep.exists(job_id)]
    for path in state.root.glob(f".{state.database.name}.*.bak.*"):
        maker = re.match(r"\.(\d+)", path.suffix)
        if maker and identity.of(int(maker[1])) is None:
            gone.append(path)
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def checkpoint(state: StateDir) -> None:
    """Empty the write-ahead log; for idle times."""
    with Upkeep.open(state) as upkeep:
        upkeep.checkpoint()
