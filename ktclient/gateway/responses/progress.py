"""How far a job is, as its responses say it in the field `ktjob`. Reads the store."""

from __future__ import annotations

from typing import Any

from jobs.model import Job, Status
from jobs.store.http.store import HttpStore
from ktclient.records import blocks, phases, snapshot

_TOKENS = "tokens"


def of(store: HttpStore, job: Job) -> dict[str, Any]:
    """What is known of a job that has not ended: its phase; while it is queued, how many jobs are
    before it; in a prefill, its share (0 to 1), tokens and seconds left."""
    if job.status is Status.QUEUED:
        phase = blocks.word_of(store, job) or "queued"
        return {"phase": phase, "jobs_ahead": store.jobs_ahead(job)}
    now = snapshot.of_job(store, job)
    found: dict[str, Any] = {"phase": now.phase}
    if now.phase == phases.PREFILL and now.done is not None and now.total:
        found["progress"] = round(min(1.0, now.done / now.total), 4)
        if now.unit == _TOKENS:
            found |= {"tokens_read": now.done, "tokens_total": now.total}
    if now.eta_seconds is not None:
        found["eta_seconds"] = round(now.eta_seconds, 1)
    return found
