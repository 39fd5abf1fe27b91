"""Storing jobs: all jobs of one submit, or none; no job is stored twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from jobs import clock
from jobs.errors import IllegalTransition
from jobs.model import Capacity, Job, NewJob, NewRequest, Status
from jobs.store import rows
from jobs.store.attempt_output import Reports
from jobs.store.groups import Groups
from jobs.store.outbox import Outbox
from jobs.store.reads import Looking

_ID_LETTERS = "abcdefghjkmnpqrstvwxyz"
_ID_CHARACTERS = "23456789" + _ID_LETTERS
_ID_LENGTH = 8
WHOLE_QUEUE = "the whole queue"
"""What a pause concerns that names no pool, in events."""


class Submitting(Looking, Reports, Outbox, Groups):
    """Inserts of new jobs."""

    def submit(self, new: NewJob, capacity: Capacity) -> Job:
        """Store the document and the job in one transaction and return the job, QUEUED."""
        return self.submit_all([new], capacity)[0]

    def submit_all(
        self,
        new: Sequence[NewJob],
        capacity: Capacity | Mapping[str, Capacity],
        group_tellings: Sequence[tuple[str, str]] | None = None,
    ) -> list[Job]:
        """The same for several jobs, in one transaction: all are stored, or none. `capacity` is
        that of all their pools, or a mapping by pool name, which may name other pools too. A job
        that was stored before under the same key, or as the same part, is returned as it is now.
        With `group_tellings`, new jobs become a group, and these are sent when all of it has ended.
        Raises `NoSuchJob` when a prerequisite does not exist, `IllegalTransition` for a new part of
        a job that has ended or has a cancel request."""
        at = clock.now()
        known = capacity if isinstance(capacity, Mapping) else {one.pool: capacity for one in new}
        with self._transaction():
            last = self._last_seq()
            ids = [self._insert(one, known[one.pool], at) for one in new]
            new_ids = [job_id for job_id in dict.fromkeys(ids) if self.job(job_id).seq > last]
            if group_tellings is not None and new_ids:
                self._join_group(new_ids, group_tellings)
            for pool in known.keys() - {one.pool for one in new}:
                self._set_capacity(pool, known[pool])
        return [self.job(job_id) for job_id in ids]

    def _last_seq(self) -> int:
        return int(str(self._scalar("last_job_seq")))

    def _insert(self, new: NewJob, capacity: Capacity, at: str) -> str:
        known = self._stored(new)
        if known is not None:
            return known
        whole = None if new.parent is None else self._require_open(new.parent)
        import hashlib  # not for commands that only look; the runner loads it before it forks

        sha256 = hashlib.sha256(new.document).hexdigest()
        self._run("insert_document", sha256=sha256, body=new.document, at=at)
        self._set_capacity(new.pool, capacity)
        job_id = self._unused_id()
        self._insert_job(job_id, new, sha256, at, whole)
        for needs in new.needs:
            self.job(needs)
            self._run("insert_prerequisite", job_id=job_id, needs=needs)
        self._insert_tellings(job_id, new.tellings)
        if new.request is not None:
            self._insert_request(job_id, new.request, at)
        data: dict[str, object] = {"pool": new.pool}
        if new.delay_seconds is not None:
            data["delay_seconds"] = new.delay_seconds
        self._event(job_id, 0, at, "submitted", data)
        if whole is None and (paused := self.pauses_of(job_id)):
            self._event(job_id, 0, at, "paused", {"what": paused[0].pool or WHOLE_QUEUE})
        return job_id

    def amend(
        self,
        job_id: str,
        number: int,
        spec: str,
        document: bytes,
        capacities: Mapping[str, Capacity],
    ) -> None:
        """Replace what was submitted with a job by what its attempt `number` made of it, in one
        transaction with the capacities of the pools of its parts. Raises `IllegalTransition` if
        that attempt is not the current one."""
        import hashlib  # as above

        sha256, at = hashlib.sha256(document).hexdigest(), clock.now()
        with self._transaction():
            before = self.job(job_id).document
            self._run("insert_document", sha256=sha256, body=document, at=at)
            self._edge("amend_job", id=job_id, number=number, spec=spec, document=sha256)
            self._run("remove_document_if_unused", document=before)
            for pool, capacity in capacities.items():
                self._set_capacity(pool, capacity)
            self._event(job_id, number, at, "checked", {})

    def move(self, job: Job, pool: str, spec: str, capacity: Capacity) -> bool:
        """Give a running job, as it was read, to another pool that has room for it now, with
        another spec. Its attempt must have sent nothing. False, with nothing changed, if there is
        no room or an older job waits there, if that pool is paused, or if the job is not as it was
        read or has a cancel request."""
        with self._transaction():
            at = clock.now()
            self._set_capacity(pool, capacity)
            moved = self._run(
                "move_job",
                id=job.id,
                number=job.attempt,
                pool=pool,
                spec=spec,
                spec_before=job.spec,
                at=at,
            )
            if moved:
                self._event(job.id, job.attempt, at, "moved", {"from": job.pool, "to": pool})
        return bool(moved)

    def hand_over(self, pool: str, spec_for: Callable[[Job], str | None]) -> Job | None:
        """Give a pool for which no job waits the first job that waits in another one, and that
        `spec_for` has a spec for; as it was before, or None. A job stays where its document was
        read last or is read now, if that pool has affinity."""
        if not self._scalar("only_others_wait", pool=pool):
            return None
        sizes = self.capacities()
        reading = {(job.pool, job.document) for job in self.in_status(Status.RUNNING)}
        reading |= {(name, warm.document) for name, warm in self.warmth().items()}
        for job in self.next_in_line():
            is_read = (job.pool, job.document) in reading and sizes[job.pool].affinity
            spec = None if is_read or job.attempt else spec_for(job)
            if spec is not None and self._hand_over(job, pool, spec):
                return job
        return None

    def _hand_over(self, job: Job, pool: str, spec: str) -> bool:
        with self._transaction():
            handed_over = self._run(
                "hand_over_job",
                id=job.id,
                pool=pool,
                spec=spec,
                pool_before=job.pool,
                spec_before=job.spec,
            )
            if handed_over:
                self._event(job.id, 0, clock.now(), "moved", {"from": job.pool, "to": pool})
        return bool(handed_over)

    def _insert_request(self, job_id: str, request: NewRequest, at: str) -> None:
        self._run(
            "insert_request",
            job_id=job_id,
            owner=request.owner,
            surface=request.surface,
            digest=request.digest,
            fields=json.dumps(request.fields, ensure_ascii=False),
            is_stored=request.is_stored,
            at=at,
        )

    def _set_capacity(self, pool: str, capacity: Capacity) -> None:
        self._run(
            "set_capacity",
            name=pool,
            capacity=rows.UNLIMITED if capacity.tokens is None else capacity.tokens,
            slots=capacity.slots,
            affinity=capacity.affinity,
        )

    def _stored(self, new: NewJob) -> str | None:
        """The id of the job that was stored before under the same key or part name, if any."""
        if new.parent is not None:
            found = self._scalar("part_of", parent=new.parent, part=new.part)
        else:
            found = self._scalar("job_by_key", key=new.submit_key)  # nothing equals NULL
        return None if found is None else str(found)

    def _require_open(self, job_id: str) -> Job:
        job = self.job(job_id)
        if job.status is Status.FINISHED or job.cancel_requested_at:
            raise IllegalTransition(
                f"cannot add parts to job {job_id}: it has ended or is being cancelled"
            )
        return job

    def _insert_job(
        self, job_id: str, new: NewJob, sha256: str, at: str, whole: Job | None
    ) -> None:
        """A part has the priority of its `whole`, and is held with it: both may have changed since
        the attempt began that stores it."""
        self._run(
            "insert_job",
            id=job_id,
            pool=new.pool,
            weight=new.weight,
            title=new.title,
            spec=new.spec,
            document=sha256,
            max_attempts=new.max_attempts,
            priority=new.priority if whole is None else whole.priority,
            held_at=None if whole is None else whole.held_at,
            label=new.label,
            submit_key=new.submit_key,
            parent=new.parent,
            part=new.part,
            not_before=new.not_before,
            at=at,
        )

    def _unused_id(self) -> str:
        import secrets  # as above

        while True:
            first = secrets.choice(_ID_LETTERS)  # cannot be mistaken for an option or a number
            rest = (secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH - 1))
            job_id = first + "".join(rest)
            if not self.exists(job_id):
                return job_id
