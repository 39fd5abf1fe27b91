"""Requests that came over HTTP, and what the streams of their jobs said."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping

from jobs import clock
from jobs.model import Job
from jobs.store.database import Database
from jobs.store.http.values import Head, ProgressMark, Request, Totals

_FIRST, _LAST = 0, 2**62


class Requests(Database):
    """Reads and writes of requests. They are inserted with their jobs (`jobs.store.inserts`)."""

    def request(self, job_id: str) -> Request | None:
        """The request of a job; None if it did not come over HTTP."""
        found = self._values(_request, self._all("request", job_id=job_id))
        return found[0] if found else None

    def requests_by_digest(self, owner: str, digest: str, since: str) -> list[Request]:
        """An owner's requests with these bytes that came since then, newest first; without those
        that were deleted."""
        given = {"owner": owner, "digest": digest, "since": since}
        return self._values(_request, self._all("requests_by_digest", **given))

    def requests_of(
        self,
        owner: str | None,
        surface: str,
        limit: int,
        after: int | None = None,
        *,
        is_descending: bool = False,
    ) -> list[Request]:
        """An owner's requests (None: everybody's) in the order of their jobs, from behind the job
        whose `seq` is `after`."""
        edge = _LAST if is_descending else _FIRST
        given: dict[str, object] = {"surface": surface, "owner": owner, "limit": limit}
        given |= {"descending": is_descending, "after": edge if after is None else after}
        return self._values(_request, self._all("requests_of", **given))

    def set_request_fields(self, job_id: str, fields: Mapping[str, object]) -> None:
        """Replace what the answers repeat of a request."""
        with self._transaction():
            text = json.dumps(fields, ensure_ascii=False)
            self._run("set_request_fields", job_id=job_id, fields=text)

    def note_delivered(self, job_id: str) -> None:
        """Record that the whole answer was delivered to a client. Keeps the first time."""
        with self._transaction():
            self._run("request_delivered", job_id=job_id, at=clock.now())

    def note_deleted(self, job_id: str) -> None:
        """Show a job over HTTP no longer. It is deleted when it has ended
        (`removable_requests`)."""
        with self._transaction():
            self._run("adopt_job", job_id=job_id)
            self._run("request_deleted", job_id=job_id, at=clock.now())

    def removable_requests(self, undelivered_seconds: float) -> list[str]:
        """Ids of finished jobs to delete: deleted over HTTP; or not to be stored, and delivered, or
        finished `undelivered_seconds` ago."""
        before = clock.ago(undelivered_seconds)
        return [row["job_id"] for row in self._all("removable_requests", before=before)]

    def mark_progress(
        self,
        job_id: str,
        attempt: int,
        after_piece: int,
        data: Mapping[str, object],
        quiet_seconds: float,
    ) -> bool:
        """Store what streams say now, unless the job has more output by now, another attempt or an
        end, or another mark within `quiet_seconds`. Whether it was stored."""
        text = json.dumps(data, ensure_ascii=False)
        given: dict[str, object] = {"job_id": job_id, "attempt": attempt, "data": text}
        given |= {"after_piece": after_piece, "not_since": clock.ago(quiet_seconds)}
        with self._transaction(durable=False):
            return self._run("insert_progress_mark", **given, at=clock.now()) == 1

    def progress_marks(self, job_id: str, after: int = 0) -> list[ProgressMark]:
        """The marks of a job behind the one of this number, in order."""
        return self._values(_mark, self._all("progress_marks", job_id=job_id, after=after))

    def is_deleted(self, job_id: str) -> bool:
        """Whether a job was deleted over HTTP, and has not ended yet."""
        return bool(self._scalar("is_request_deleted", job_id=job_id))

    def jobs_ahead(self, job: Job) -> int:
        """How many jobs of its pool are before a queued job: running ones, and queued ones with
        more priority, or of the same and older."""
        given = {"pool": job.pool, "priority": job.priority, "seq": job.seq}
        return int(str(self._scalar("jobs_ahead", **given)))

    def heads(self, ids: Collection[str]) -> dict[str, Head]:
        """How far these jobs are, by id. Those that do not exist are missing."""
        found = self._all("heads", ids=json.dumps(list(ids)))
        return {head.id: head for head in self._values(_head, found)}

    def jobs_with_events_since(self, seq: int) -> set[str]:
        """Ids of the jobs with an event behind the one of this `seq`."""
        return {row["job_id"] for row in self._all("jobs_with_events_since", seq=seq)}

    def totals_of_parts(self, job_id: str) -> Totals:
        """What the parts of a job have come to so far."""
        row = self._all("totals_of_parts", parent=job_id)[0]
        return Totals(**dict(row))

    def data_version(self) -> int:
        """A number that changes when another connection commits (sqlite.org/pragma.html)."""
        return int(self._reading().execute("PRAGMA data_version").fetchone()[0])


def _request(row: sqlite3.Row) -> Request:
    return Request(
        job_id=row["job_id"],
        owner=row["owner"],
        surface=row["surface"],
        digest=row["digest"],
        fields=json.loads(row["fields"]),
        is_stored=bool(row["is_stored"]),
        created_at=row["created_at"],
        delivered_at=row["delivered_at"],
        deleted_at=row["deleted_at"],
    )


def _head(row: sqlite3.Row) -> Head:
    return Head(
        row["id"], row["status"], row["outcome"], row["attempt"], row["pieces"], row["marks"]
    )


def _mark(row: sqlite3.Row) -> ProgressMark:
    return ProgressMark(
        row["number"], row["attempt"], row["after_piece"], row["at"], json.loads(row["data"])
    )
