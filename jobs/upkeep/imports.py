"""Ended jobs of another store, stored here as they ended there. None of them ever runs."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobs import clock
from jobs.model import Capacity, Job, Outcome
from jobs.store.groups import MARK
from jobs.store.store import Store

JOB_ID = re.compile("[a-z][2-9a-z]{7}")
GROUP_ID = re.compile(f"{re.escape(MARK)}[2-9a-z]{{6}}")
_POOL = "imported: "
"""The beginning of the names of their pools: what is learned about the times of a pool's jobs must
not come from jobs that ran elsewhere."""
_KEY = "import "
_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class EndedJob:
    """A job that ended in another store. Times are UTC, ISO 8601."""

    id: str
    """Its id there; here too, if it is free."""
    origin: str
    """Its id in the store in which it ran."""
    server: str
    title: str
    spec: str
    sha256: str
    """Of its document."""
    document: bytes | None
    """None: the document does not come with it."""
    outcome: Outcome
    cause: str | None
    message: str | None
    attempt: int
    max_attempts: int
    label: str | None
    group_id: str | None
    created_at: str
    started_at: str | None
    finished_at: str
    figures: dict[str, object] = field(default_factory=dict)
    """Of its last attempt."""
    output: tuple[tuple[str, str], ...] = ()
    """(channel, text) of that attempt."""

    @property
    def key(self) -> str:
        """The submit key under which it is stored: it is imported once."""
        return f"{_KEY}{self.origin} {self.created_at}"


@dataclass(frozen=True)
class Stored:
    """What became of one of them."""

    id: str
    was: str
    """Its id in the file."""
    is_new: bool
    """False: it was here before, and was left as it is."""
    is_completed: bool = False
    """It was imported before without its document, which came now."""


@dataclass
class _Group:
    """The group here as which one of the file is imported."""

    id: str
    members: int


class Imports(Store):
    """Inserts of ended jobs."""

    def add(self, jobs: Sequence[EndedJob]) -> list[Stored]:
        """Store all of them in one transaction, or none. No job that is here is changed: one that
        is here already is left, and one whose id another job has gets another id."""
        with self._transaction():
            groups: dict[str, _Group] = {}
            return [self._add(one, groups) for one in jobs]

    def _add(self, one: EndedJob, groups: dict[str, _Group]) -> Stored:
        if (known := self._known(one)) is not None:
            return Stored(known, one.id, is_new=False, is_completed=self._complete(known, one))
        is_free = JOB_ID.fullmatch(one.id) is not None and not self.exists(one.id)
        job_id = one.id if is_free else self._unused_id()
        pool = _POOL + one.server
        if pool not in self.capacities():
            self._set_capacity(pool, Capacity())
        self._insert_ended(job_id, pool, one)
        if one.attempt:
            self._insert_output(job_id, one)
        self._event(job_id, one.attempt, clock.now(), "imported", {"id": one.id})
        if one.group_id is not None:
            self._join(job_id, one.group_id, groups)
        return Stored(job_id, one.id, is_new=True)

    def _known(self, one: EndedJob) -> str | None:
        """The id of the same job, if it was imported before or ran here."""
        if (before := self.by_key(one.key)) is not None:
            return before.id
        if not self.exists(one.origin):
            return None
        job = self.job(one.origin)
        return job.id if _is_same(job, one) else None

    def _complete(self, job_id: str, one: EndedJob) -> bool:
        """Whether an imported job without a document has got it now."""
        job = self.job(job_id)
        is_without = job.submit_key == one.key and job.document == _EMPTY != one.sha256
        if not is_without or one.document is None:
            return False
        self._run("insert_document", sha256=one.sha256, body=one.document, at=clock.now())
        self._run("add_document", id=job_id, document=one.sha256)
        self._run("remove_document_if_unused", document=_EMPTY)
        return True

    def _insert_ended(self, job_id: str, pool: str, one: EndedJob) -> None:
        self._run(
            "insert_ended_job",
            id=job_id,
            pool=pool,
            title=one.title,
            spec=one.spec,
            document=self._document(one),
            outcome=one.outcome.value,
            cause=one.cause,
            message=one.message,
            attempt=one.attempt,
            max_attempts=one.max_attempts,
            label=one.label,
            submit_key=one.key,
            created_at=one.created_at,
            started_at=one.started_at,
            finished_at=one.finished_at,
        )

    def _document(self, one: EndedJob) -> str:
        """The name of the stored document: its own, or that of an empty one if it is not there."""
        body, sha256 = one.document, one.sha256
        if body is None and not self._scalar("has_document", sha256=sha256):
            body, sha256 = b"", _EMPTY
        if body is not None:
            self._run("insert_document", sha256=sha256, body=body, at=clock.now())
        return sha256

    def _insert_output(self, job_id: str, one: EndedJob) -> None:
        begun = one.started_at or one.finished_at
        self._run(
            "insert_ended_attempt",
            id=job_id,
            number=one.attempt,
            rid=os.urandom(16).hex(),
            started_at=begun,
            ended_at=one.finished_at,
            outcome=one.outcome.value,
            cause=one.cause,
            message=one.message,
            figures=json.dumps(one.figures, ensure_ascii=False),
        )
        for place, (channel, text) in enumerate(one.output, 1):
            self._run(
                "insert_ended_piece",
                id=job_id,
                number=one.attempt,
                seq=place,
                channel=channel,
                text=text,
            )

    def _join(self, job_id: str, group_id: str, groups: dict[str, _Group]) -> None:
        """Put the job into the group as which its group is imported."""
        if group_id not in groups:
            members = self.group(group_id)
            is_free = all((one.submit_key or "").startswith(_KEY) for one in members)
            is_ours = GROUP_ID.fullmatch(group_id) is not None and is_free
            groups[group_id] = (
                _Group(group_id, len(members)) if is_ours else _Group(self._unused_group_id(), 0)
            )
        joined = groups[group_id]
        joined.members += 1
        self._run("join_group", id=job_id, group_id=joined.id, place=joined.members)


def _is_same(job: Job, one: EndedJob) -> bool:
    return (job.created_at, job.finished_at) == (one.created_at, one.finished_at)
