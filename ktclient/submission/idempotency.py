"""The idempotency key of a submit: a second submit under the same key returns the existing jobs.

The jobs of a submit are stored under KEY/0, KEY/1 …: all in one transaction, so all or none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.model import Job
from jobs.store.store import Store
from ktclient.documents import turn_marks
from ktclient.errors import BadInput
from ktclient.records import access
from ktclient.submission.spec import JobSpec

if TYPE_CHECKING:
    from ktclient.config.settings import Settings
    from ktclient.documents.document import Document
    from ktclient.prompts.generation import GenerationSettings
    from ktclient.prompts.tasks import Task

_MOST = 200


def check(key: str) -> str:
    """Return a valid key. Raises `BadInput` for any other."""
    if not key or len(key) > _MOST or not key.isprintable():
        raise BadInput(f"a key must be one line of 1 to {_MOST} characters")
    return key


def of_job(key: str, number: int) -> str:
    """The key of one job of a submit."""
    return f"submit {key}/{number}"


def existing(
    key: str,
    documents: Sequence[Document],
    tasks: Sequence[Task],
    manner: GenerationSettings,
    settings: Settings,
) -> list[str]:
    """Ids of the jobs that were stored under the key, empty if it is new. Queries no server. Raises
    `BadInput` if something else was submitted under it."""
    if not settings.state.has_database():
        return []
    with access.open_recovered(settings.state) as store:
        stored = _stored(store, key)
    if not stored:
        return []
    wanted = [(one, task.about(one.title)) for one in documents for task in tasks]
    if len(wanted) != len(stored):
        raise _another(key, stored[0].id)
    for job, (document, task) in zip(stored, wanted, strict=True):
        spec = JobSpec.from_json(job.spec)
        texts = {document.text, turn_marks.as_before(document.text)}
        sums = {hashlib.sha256(text.encode()).hexdigest() for text in texts}
        if job.document not in sums or (spec.task, spec.manner) != (task, manner):
            raise _another(key, job.id)
    return [job.id for job in stored]


def _stored(store: Store, key: str) -> list[Job]:
    found: list[Job] = []
    while (job := store.by_key(of_job(key, len(found)))) is not None:
        found.append(job)
    return found


def _another(key: str, job_id: str) -> BadInput:
    return BadInput(
        f"the key {key!r} belongs to job {job_id}, with another document or question: "
        "use another key"
    )
