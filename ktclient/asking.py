"""Another question about a document that is stored already."""

from __future__ import annotations

from dataclasses import replace

from jobs.model import Capacity, NewJob
from ktclient import config, tasks, truth
from ktclient.errors import BadInput
from ktclient.spec import JobSpec


def ask(
    job_id: str,
    question: str,
    settings: config.Settings,
    max_tokens: int | None = None,
    timeout: float | None = None,
) -> str:
    """A new job on the document of an old one: same server, same model, same limits unless given.
    Returns its id.

    `timeout` is in seconds. No server is asked anything here: the worker checks the fit. Raises
    `NoSuchJob`, `AmbiguousId`, `BadInput`, and `StoreDamaged` where the document is gone.
    """
    if max_tokens is not None and max_tokens < 1:
        raise BadInput(f"max_tokens must be at least 1, not {max_tokens}")
    if timeout is not None and not 0 < timeout < float("inf"):
        raise BadInput(f"timeout must be a number of seconds above 0, not {timeout}")
    task = tasks.task(False, question, None)
    with truth.told(settings.state) as store:
        old = store.find(job_id)
        spec = JobSpec.from_json(old.spec)
        spec = replace(
            spec,
            task=task,
            max_tokens=spec.max_tokens if max_tokens is None else max_tokens,
            timeout=spec.timeout if timeout is None else timeout,
        )
        new = NewJob(
            pool=old.pool,
            spec=spec.to_json(),
            document=store.document(old.document),
            title=old.title,
            weight=old.weight,
            max_attempts=old.max_attempts,
            priority=old.priority,
        )
        known = store.capacities().get(old.pool, Capacity(slots=1))
        stored = store.submit(new, known)
    truth.serve(settings.state)
    return stored.id
