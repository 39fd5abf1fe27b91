"""What the page does to a job: cancel, retry, ask again, delete. In threads: each may wait for the
disk, or ask a server."""

from __future__ import annotations

from dataclasses import replace

from jobs.model import Job, Status
from jobs.store.http.store import HttpStore
from jobs.store.resume import Successions
from jobs.upkeep import garbage
from ktclient.batch import retry as batch_retry
from ktclient.batch import spec as batch_spec
from ktclient.config.settings import Settings
from ktclient.errors import BadInput
from ktclient.gateway.context import Caller
from ktclient.gateway.page import submit
from ktclient.records import access, kinds
from ktclient.submission import enqueue, followup, lent_keys, renewal
from ktclient.submission import spec as specs
from ktclient.submission.spec import JobSpec


def cancel(job: Job, settings: Settings) -> None:
    """Request cancellation. No effect on a job that has ended."""
    with HttpStore.open(settings.state) as store:
        now = store.request_cancel(job.id)
    if now.status is not Status.FINISHED:
        access.ensure_runner(settings.state)  # it watches over the cancel


def retry(job: Job, settings: Settings, caller: Caller) -> str:
    """The id of the job that retries this one; the same one if it was retried already. Raises what
    `Store.retry` raises."""
    kinds.require_own(job)
    server = specs.server_of(job.spec)
    with Successions.open(settings.state) as store, lent_keys.lending(settings, server):
        if kinds.kind_of(job.spec) == batch_spec.CONDUCT:
            new, _ = batch_retry.retry(store, job)
        else:
            new, _ = store.retry(job.id, _without_limit(job))
    if caller.owner:  # for a job of the command line; the retry of another has its owner already
        with HttpStore.open(settings.state) as known:
            known.give(new.id, caller.owner)
    access.ensure_runner(settings.state)
    return new.id


def _without_limit(old: Job) -> str | None:
    """The spec for a retry of a job that exceeded its time limit, as `ktjob retry` has it; None: as
    it was."""
    known = JobSpec.from_json(old.spec)
    return renewal.lasting(known).to_json() if renewal.has_exceeded(old, known) else None


def ask(job: Job, question: str, settings: Settings, caller: Caller) -> str:
    """The id of a new job with another question about the same document. Raises what
    `followup.ask` raises."""
    if not question.strip():
        raise BadInput("the question is empty")
    document, options = followup.prepare(job.id, question.strip(), settings)
    options = replace(options, http_request=submit.request_of(caller))
    return enqueue.enqueue(document, options, settings)[0][0]


def delete(job: Job, settings: Settings) -> None:
    """Delete a finished job with its document and answer. Raises `IllegalTransition` for one that
    has not ended."""
    garbage.delete_job(settings.state, job.id)
