"""The only door to jobs: every edge is guarded in SQL, and every change of state writes an event
row in its own transaction.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence

from jobs import clock, rows, trouble
from jobs.browsing import Browsing
from jobs.errors import AmbiguousId, IllegalTransition, NoSuchJob
from jobs.families import Families
from jobs.model import (
    Attempt,
    Capacity,
    Event,
    Identity,
    Job,
    NewJob,
    Outcome,
    Piece,
    Status,
    Warmth,
)
from jobs.outbox import Outbox

_ID_LETTERS = "abcdefghjkmnpqrstvwxyz"
_ID_CHARACTERS = "23456789" + _ID_LETTERS
_ID_LENGTH = 8
_AHEAD = 100
"""How many waiting jobs of each pool a runner looks at: it starts no more at a time."""


class Store(Browsing, Families, Outbox):
    """Jobs in one state directory."""

    # -- submitting -------------------------------------------------------------------------

    def submit(self, new: NewJob, capacity: Capacity) -> Job:
        """Store the document and the job in one transaction and return the job, QUEUED."""
        return self.submit_all([new], capacity)[0]

    def submit_all(
        self, new: Sequence[NewJob], capacity: Capacity | Mapping[str, Capacity]
    ) -> list[Job]:
        """The same for several, in one transaction: all are stored, or none. The capacity is that
        of their pools, or of each by its name, also of pools in which none of them waits. What was
        stored before under the same key, or as the same part, is returned as it is now. Raises
        `NoSuchJob` when one needs a job that is not there, `IllegalTransition` for a new part of a
        job that has ended or is to end."""
        at = clock.now()
        known = capacity if isinstance(capacity, Mapping) else {one.pool: capacity for one in new}
        with self._transaction():
            ids = [self._insert(one, known[one.pool], at) for one in new]
            for pool in known.keys() - {one.pool for one in new}:
                self._set_capacity(pool, known[pool])
        return [self.job(job_id) for job_id in ids]

    def _insert(self, new: NewJob, capacity: Capacity, at: str) -> str:
        known = self._stored(new)
        if known is not None:
            return known
        if new.parent is not None:
            self._require_open(new.parent)
        sha256 = hashlib.sha256(new.document).hexdigest()
        self._run("insert_document", sha256=sha256, body=new.document, at=at)
        self._set_capacity(new.pool, capacity)
        job_id = self._unused_id()
        self._insert_job(job_id, new, sha256, at)
        for needs in new.needs:
            self.job(needs)
            self._run("insert_prerequisite", job_id=job_id, needs=needs)
        self._insert_tellings(job_id, new.tellings)
        self._event(job_id, 0, at, "submitted", {"pool": new.pool})
        return job_id

    def _set_capacity(self, pool: str, capacity: Capacity) -> None:
        self._run(
            "set_capacity",
            name=pool,
            capacity=rows.UNLIMITED if capacity.tokens is None else capacity.tokens,
            slots=capacity.slots,
            affinity=capacity.affinity,
        )

    def _stored(self, new: NewJob) -> str | None:
        """The job that this one is again, if it was stored before."""
        if new.parent is not None:
            found = self._scalar("part_of", parent=new.parent, part=new.part)
        else:
            found = self._scalar("job_by_key", key=new.submit_key)  # nothing equals NULL
        return None if found is None else str(found)

    def _require_open(self, job_id: str) -> None:
        job = self.job(job_id)
        if job.status is Status.FINISHED or job.cancel_requested_at:
            raise IllegalTransition(f"job {job_id} takes no more parts: it ended, or is to end")

    def _insert_job(self, job_id: str, new: NewJob, sha256: str, at: str) -> None:
        self._run(
            "insert_job",
            id=job_id,
            pool=new.pool,
            weight=new.weight,
            title=new.title,
            spec=new.spec,
            document=sha256,
            max_attempts=new.max_attempts,
            priority=new.priority,
            label=new.label,
            submit_key=new.submit_key,
            parent=new.parent,
            part=new.part,
            not_before=new.not_before,
            at=at,
        )

    def _unused_id(self) -> str:
        while True:
            first = secrets.choice(_ID_LETTERS)  # never read as an option or a number
            rest = (secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH - 1))
            job_id = first + "".join(rest)
            if not self.exists(job_id):
                return job_id

    # -- reading ----------------------------------------------------------------------------

    def job(self, job_id: str) -> Job:
        """The job with exactly this id. Raises `NoSuchJob`."""
        if job_id.isascii():  # what was typed may be no text at all, which SQLite does not take
            for job in self._values(rows.job, self._all("job_by_id", id=job_id)):
                return job
        raise NoSuchJob(f"there is no job {job_id!r}; `ktjob status` lists them")

    def exists(self, job_id: str) -> bool:
        """Whether there is a job with exactly this id."""
        return self._one("job_by_id", id=job_id) is not None

    def by_key(self, key: str) -> Job | None:
        """The job that was submitted under this key."""
        found = self._scalar("job_by_key", key=key)
        return None if found is None else self.job(str(found))

    def find(self, prefix: str) -> Job:
        """The job whose id starts so. Raises `NoSuchJob` and `AmbiguousId`."""
        is_one = prefix and prefix.isascii()
        found = self._values(rows.job, self._all("jobs_by_prefix", prefix=prefix) if is_one else [])
        if not found:
            raise NoSuchJob(f"there is no job {prefix!r}; `ktjob status` lists them")
        if len(found) > 1 and all(job.id != prefix for job in found):
            ids = ", ".join(job.id for job in found)
            raise AmbiguousId(f"{prefix!r} is the start of several jobs ({ids}); give more of it")
        return next((job for job in found if job.id == prefix), found[0])

    def needs(self, job_id: str) -> list[str]:
        """Ids of the jobs that must have succeeded before this one starts."""
        return [row["needs"] for row in self._all("prerequisites", job_id=job_id)]

    def next_in_line(self) -> list[Job]:
        """The first that may start now in each pool, by priority, then age; not all of many:
        those on the document of the pool's last job come before others of their priority."""
        return self._values(rows.job, self._all("next_in_line", ahead=_AHEAD, now=clock.now()))

    def in_status(self, status: Status) -> list[Job]:
        """All jobs in a status, oldest first."""
        return self._values(rows.job, self._all("jobs_in_status", status=status.value))

    def has(self, status: Status) -> bool:
        """Whether any job is in this status."""
        return bool(self._scalar("has_status", status=status.value))

    def capacities(self) -> dict[str, Capacity]:
        """What each pool may run at once."""
        return {row["name"]: rows.capacity(row) for row in self._all("capacities")}

    def warmth(self) -> dict[str, Warmth]:
        """What each pool with affinity has read last, once it has read anything."""
        found = [row for row in self._all("warmth", now=clock.now()) if row["document"] is not None]
        return {row["name"]: Warmth(row["document"], row["passes"]) for row in found}

    def recall(self, pool: str, name: str) -> dict[str, object] | None:
        """What was remembered so about a pool; None before that."""
        value = self._scalar("note", pool=pool, name=name)
        try:
            found = None if value is None else json.loads(str(value))
        except ValueError as error:
            raise trouble.damaged(f"note {name} of {pool} is no JSON", self._path) from error
        return found if isinstance(found, dict) else None

    def remember(self, pool: str, name: str, value: dict[str, object]) -> None:
        """Keep what was learned about a pool's server, in place of what `name` held before. It is
        a help for the next job there: power loss may take it. Nothing secret goes in here."""
        with self._transaction(durable=False):
            self._run("set_note", pool=pool, name=name, value=_json(value), at=clock.now())

    def attempt(self, job: Job) -> Attempt | None:
        """The job's current or last attempt; None before the first."""
        found = self._all("attempt", job_id=job.id, number=job.attempt)
        return next(iter(self._values(rows.attempt, found)), None)

    def attempts(self, job_id: str) -> list[Attempt]:
        """All attempts of a job, in order."""
        return self._values(rows.attempt, self._all("attempts", job_id=job_id))

    def events(self, job_id: str) -> list[Event]:
        """What happened to a job, in order."""
        return self._values(rows.event, self._all("events", job_id=job_id))

    def events_after(self, seq: int, limit: int, job_id: str | None = None) -> list[Event]:
        """The first `limit` events after that one, of all jobs or of one, in order."""
        if job_id is None:
            found = self._all("events_after", after=seq, limit=limit)
        else:
            found = self._all("events_of_after", job_id=job_id, after=seq, limit=limit)
        return self._values(rows.event, found)

    def last_event(self) -> int:
        """The place of the last event of all jobs; 0 where there is none."""
        return int(str(self._scalar("last_event")))

    def document(self, sha256: str) -> bytes:
        """The body of a stored document."""
        body = self._scalar("document", sha256=sha256)
        if not isinstance(body, bytes):
            raise trouble.damaged(f"document {sha256} is not in it", self._path)
        return body

    def pieces(self, job_id: str, number: int, after: int = 0) -> list[Piece]:
        """Output of an attempt that came after piece `after`, in order."""
        found = self._all("pieces", job_id=job_id, number=number, after=after)
        return [Piece(row["seq"], row["channel"], row["text"]) for row in found]

    def is_cancel_wished(self, job_id: str) -> bool:
        return bool(self._scalar("is_cancel_wished", id=job_id))

    # Times of edges are taken inside of their transactions: their order is the order of commits.

    # -- edges ------------------------------------------------------------------------------

    def claim(self, job_id: str, worker: Identity) -> Attempt:
        """QUEUED to RUNNING, by and for one worker. Raises `IllegalTransition` if another was
        first, a cancel is wished for, or its pool has filled up meanwhile."""
        with self._transaction():
            at = clock.now()
            self._edge("claim_job", id=job_id, at=at)
            self._edge(
                "insert_attempt",
                id=job_id,
                rid=secrets.token_hex(16),
                boot_id=worker.boot_id,
                pid=worker.pid,
                start_ticks=worker.start_ticks,
                phase="starting",
                at=at,
            )
            job = self.job(job_id)
            self._event(job_id, job.attempt, at, "claimed", {"pid": worker.pid})
        attempt = self.attempt(job)
        assert attempt is not None
        return attempt

    def finish(
        self, job_id: str, number: int, outcome: Outcome, cause: str | None, message: str | None
    ) -> None:
        """RUNNING to FINISHED, for attempt `number` only. What of its parts has not ended is
        cancelled: nobody waits for it any more. Raises `IllegalTransition`."""
        how = {"outcome": outcome.value, "cause": cause, "message": message}
        with self._transaction():
            at = clock.now()
            self._edge("finish_job", id=job_id, number=number, at=at, **how)
            self._edge("finish_attempt", id=job_id, number=number, at=at, **how)
            self._event(job_id, number, at, "finished", {k: v for k, v in how.items() if v})
            for part in self._open_parts(job_id):
                self._cancel(part, at, "cancelled with the job that it is a part of")

    def requeue(self, job_id: str, number: int, cause: str, message: str) -> bool:
        """RUNNING to QUEUED for one more attempt, if attempt `number` is the current one, was not
        the last allowed and no cancel is wished for. False, and nothing changed, otherwise."""
        with self._transaction():
            at = clock.now()
            why: dict[str, object] = {"cause": cause, "message": message}
            if not self._run("requeue_job", id=job_id, number=number, **why):
                return False
            self._edge("finish_attempt", id=job_id, number=number, at=at, outcome="LOST", **why)
            self._event(job_id, number, at, "queued again", why)
        return True

    def fail_doomed(self) -> None:
        """QUEUED to FINISHED, FAILED, for each job that needs one which did not succeed."""
        while found := self._all("doomed"):
            with self._transaction():
                at = clock.now()
                for row in found:
                    message = (
                        f"job {row['needs']}, which it was to start after, ended as "
                        f"{row['outcome']}: submit this one again once that is mended"
                    )
                    how = {"cause": "prerequisite_failed", "message": message}
                    if self._run("fail_queued_job", id=row["id"], at=at, **how):
                        self._event(row["id"], 0, at, "finished", {"outcome": "FAILED", **how})

    def request_cancel(self, job_id: str) -> Job:
        """Finish a queued job as CANCELLED, or note the wish for a running one; the same for its
        parts, whether or not anybody conducts them. Idempotent."""
        with self._transaction():
            at = clock.now()
            self._cancel(job_id, at, "cancelled before it started")
            for part in self._open_parts(job_id):
                self._cancel(part, at, "cancelled with the job that it is a part of")
        return self.job(job_id)

    def withdraw(self, job_id: str) -> None:
        """Finish a part as CANCELLED if it is queued; what runs goes on."""
        with self._transaction():
            self._cancel_queued(job_id, clock.now(), "not started, because another part failed")

    def _cancel(self, job_id: str, at: str, message: str) -> None:
        if self._cancel_queued(job_id, at, message):
            return
        if self._run("wish_cancel", id=job_id, at=at):
            self._event(job_id, self.job(job_id).attempt, at, "cancel wished", {})

    def _cancel_queued(self, job_id: str, at: str, message: str) -> bool:
        is_cancelled = self._run("cancel_queued_job", id=job_id, at=at, message=message) == 1
        if is_cancelled:
            self._event(job_id, 0, at, "finished", {"outcome": "CANCELLED"})
        return is_cancelled

    # -- what a running attempt reports -----------------------------------------------------

    def enter_phase(self, job_id: str, number: int, phase: str) -> None:
        """Name what the attempt does now, and forget the progress of what it did before."""
        at = clock.now()
        with self._transaction(durable=False):
            self._edge("enter_phase", job_id=job_id, number=number, phase=phase, at=at)
            self._event(job_id, number, at, "phase", {"phase": phase})

    def set_progress(
        self, job_id: str, number: int, done: int, total: int | None, unit: str
    ) -> None:
        """How far the current phase is, in `unit`s; `total` None when nobody knows."""
        with self._transaction(durable=False):
            self._edge(
                "set_progress", job_id=job_id, number=number, done=done, total=total, unit=unit
            )

    def set_figures(self, job_id: str, number: int, figures: dict[str, object]) -> None:
        """Replace what the attempt measured."""
        with self._transaction(durable=False):
            self._edge("set_figures", job_id=job_id, number=number, figures=_json(figures))

    def append(self, job_id: str, number: int, pieces: Sequence[Piece]) -> None:
        """Add output to the attempt."""
        with self._transaction(durable=False):
            for piece in pieces:
                self._edge(
                    "insert_piece",
                    job_id=job_id,
                    number=number,
                    seq=piece.seq,
                    channel=piece.channel,
                    text=piece.text,
                )

    def note(self, job_id: str, number: int, kind: str, data: dict[str, object]) -> None:
        """Write an event that changes no state."""
        with self._transaction(durable=False):
            self._event(job_id, number, clock.now(), kind, data)

    def _event(
        self, job_id: str, attempt: int, at: str, kind: str, data: dict[str, object]
    ) -> None:
        self._run(
            "insert_event", job_id=job_id, attempt=attempt, at=at, kind=kind, data=_json(data)
        )


def _json(data: dict[str, object]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
