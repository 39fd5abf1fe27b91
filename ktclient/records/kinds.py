"""Kinds of jobs by their specs: those that send no request themselves, and imported ones.

Conductors have parts, which send the requests. Such a job's spec has "conduct", its kind, besides
what every spec has (task, server, model, max_tokens, timeout: what people are shown), and version
2. It waits in a pool of its own.
"""

from __future__ import annotations

import json
from typing import Any

from jobs.model import Capacity, Job
from jobs.worker import conductor
from ktclient.errors import BadInput

POOL = "conducting"
CAPACITY = Capacity(slots=32)
"""Each conductor is a process that sleeps. Conductors conduct no conductors, or they would wait for
one another."""
ATTEMPTS = conductor.ATTEMPTS
SPLIT = "split"
"""The kind of a job whose document is too long for one request."""
BATCH = "batch"
"""The kind of a job with many requests; its output is the lines of their results."""
PROBLEMS = "problems"
"""The metric of a batch whose lines cannot be used: a list of objects with line, code, message and
param. The job's message lists the first."""
VERSION = 2
"""The version of their specs: a ktjob that knows only 1 must not take one for a request."""


_IMPORTED = "imported"
"""The key in a spec's task that only imported jobs have."""


def imported(spec: str) -> dict[str, Any] | None:
    """Where an imported job comes from: `at` (when it was imported), `id` (there), `sha256` and
    `bytes` of its document, and `parts`. None if the job ran here."""
    found = json.loads(spec)["task"].get(_IMPORTED)
    return found if isinstance(found, dict) else None


def as_imported(spec: str, origin: dict[str, object]) -> str:
    """The spec of a job that was imported from there."""
    stored = json.loads(spec)
    stored["task"][_IMPORTED] = origin
    return json.dumps(stored, ensure_ascii=False)


def require_own(job: Job, *, needs_document: bool = False) -> None:
    """Raises `BadInput` for an imported job: its request belongs to another machine.
    `needs_document`: only if its document was not imported."""
    origin = imported(job.spec)
    has_document = origin is not None and job.document == origin["sha256"]
    if origin is None or (needs_document and has_document):
        return
    if needs_document:
        raise BadInput(
            f"job {job.id} was imported without its document. Submit the document itself, or "
            "export the job again with --with-documents"
        )
    raise BadInput(
        f"job {job.id} was imported and did not run here, so it cannot be retried. To send its "
        f"request from here: ktjob rerun {job.id}"
    )


def kind_of(spec: str) -> str | None:
    """The kind of conductor; None if the job is a request itself."""
    kind = json.loads(spec).get("conduct")
    return None if kind is None else str(kind)
