"""An ended job as an export has it: the same data for every format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jobs import clock
from jobs.model import Job
from jobs.store.store import Store
from ktclient.prompts import shown_answer
from ktclient.records import kinds, snapshot
from ktclient.submission import parts
from ktclient.submission.spec import JobSpec

VERSION = 1
"""The version of the format of JSON and JSON Lines. A field that is added does not change it."""


@dataclass(frozen=True)
class Contents:
    """What an export has of a job only on request."""

    documents: bool = False
    thoughts: bool = False


@dataclass(frozen=True)
class DocumentOf:
    """The document of a job."""

    name: str
    sha256: str
    bytes: int
    """Its size, encoded as UTF-8."""
    text: str | None
    """None: not exported."""


@dataclass(frozen=True)
class Exported:
    """An ended job. Times are UTC, ISO 8601."""

    id: str
    state: str
    """SUCCEEDED, FAILED, CANCELLED or LOST."""
    task: str
    instruction: str
    """The question or the prompt; empty for a summary."""
    questions: tuple[str, ...]
    """Each of them, where one request combines several."""
    answer: str
    """Without thoughts; of a job that did not succeed, what had arrived."""
    thoughts: str | None
    """None: not exported."""
    document: DocumentOf
    model: str | None
    """The model that answered, as its server named it; else the one that was asked for."""
    server: str
    label: str | None
    group: str | None
    cause: str | None
    message: str | None
    created_at: str
    started_at: str | None
    finished_at: str
    attempt: int
    """The number of the last attempt; 0: it never began."""
    max_attempts: int
    max_tokens: int
    timeout: float
    """Seconds."""
    figures: dict[str, object]
    """Measured by the last attempt: tokens, seconds, the reason of the end."""
    counted: tuple[int, int, int] | None
    """Tokens of the request as counted at submit: least, likely, most."""
    thinking: str | None
    settings: dict[str, object]
    """Generation settings: system, temperature, thinking, effort."""
    answer_schema: dict[str, Any] | None
    remarks: tuple[str, ...]
    """How the document was read."""
    split: dict[str, Any] | None
    """The plan by which the document was split, as it is stored."""
    parts: tuple[Mapping[str, object], ...]
    """What became of each part, as in `ktjob show --json`."""
    imported: dict[str, object] | None
    """Of a job that was imported: when, and its id where it ran."""

    @property
    def asked(self) -> str:
        """What was asked, on one line."""
        return " ".join(("; ".join(self.questions) or self.instruction or self.task).split())

    @property
    def shown(self) -> str:
        """The answer for people."""
        return shown_answer.shown(self.answer, self.questions, self.answer_schema is not None)

    @property
    def seconds(self) -> float | None:
        """How long it ran; None if it never began."""
        if self.started_at is None:
            return None
        return max(0.0, clock.seconds_between(self.started_at, self.finished_at))

    def to_dict(self) -> dict[str, object]:
        """The fields for JSON, with the SHA-256 of the answer's text."""
        found = asdict(self)
        digest = hashlib.sha256(self.answer.encode()).hexdigest()
        return {**found, "answer_sha256": digest}


def records(store: Store, jobs: Sequence[Job], contents: Contents) -> Iterator[Exported]:
    """The records of ended jobs, in order, one at a time in memory. Raises `StoreDamaged` and, for
    a job of a newer version, `BadInput`."""
    for job in jobs:
        yield of_job(store, job, contents)


def of_job(store: Store, job: Job, contents: Contents) -> Exported:
    """The record of an ended job. Raises as `records`."""
    assert job.finished_at is not None
    now, spec = snapshot.of_job(store, job), JobSpec.from_json(job.spec)
    found = snapshot.output(store, job)
    answered = now.figures.get("model")
    return Exported(
        id=job.id,
        state=job.state,
        task=spec.task.kind.value,
        instruction=spec.task.text,
        questions=spec.task.questions,
        answer=found.answer,
        thoughts=found.thoughts if contents.thoughts else None,
        document=_document(store, job, contents),
        model=answered if isinstance(answered, str) else spec.model,
        server=spec.server,
        label=job.label,
        group=job.group_id,
        cause=job.cause,
        message=job.message,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        max_tokens=spec.max_tokens,
        timeout=spec.timeout,
        figures=now.figures,
        counted=_counted(spec),
        thinking=spec.thinking or None,
        settings=spec.manner.to_fields(),
        answer_schema=json.loads(spec.task.schema) if spec.task.schema else None,
        remarks=spec.remarks,
        split=None if spec.split is None else spec.split.to_fields(),
        parts=_parts(store, job),
        imported=_origin(job),
    )


def _counted(spec: JobSpec) -> tuple[int, int, int] | None:
    found = spec.counted
    return None if found is None else (found.low, found.likely, found.high)


def _document(store: Store, job: Job, contents: Contents) -> DocumentOf:
    origin = kinds.imported(job.spec)
    if origin is not None and job.document != origin["sha256"]:
        return DocumentOf(job.title, str(origin["sha256"]), int(str(origin["bytes"])), None)
    body = store.document(job.document)
    text = body.decode("utf-8", "replace") if contents.documents else None
    return DocumentOf(job.title, job.document, len(body), text)


def _parts(store: Store, job: Job) -> tuple[Mapping[str, object], ...]:
    origin = kinds.imported(job.spec)
    if origin is not None:
        return tuple(origin.get("parts", ()))
    return tuple(part.to_dict() for part in parts.read(store, job))


def _origin(job: Job) -> dict[str, object] | None:
    origin = kinds.imported(job.spec)
    return None if origin is None else {"at": origin["at"], "id": origin["id"]}
