"""A file of requests, handed over as one job, and what an earlier run of it has answered already.

A batch is known by the file of its results. The newest job that writes it goes on: what it answered
under a custom_id, to the same body, is not asked again, whatever else changed in the file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from jobs.errors import PartFailed
from jobs.model import Job as StoredJob
from jobs.model import NewJob, Outcome, Status
from jobs.store.resume import Heritage, Successions
from jobs.store.store import Store
from ktclient.batch import file, result_files
from ktclient.batch import preflight as batch_preflight
from ktclient.batch import spec as batch_spec
from ktclient.batch.preflight import Batch, Options
from ktclient.batch.spec import BatchSpec
from ktclient.config import settings as config
from ktclient.errors import BadInput
from ktclient.planning import preflight
from ktclient.records import access, kinds, snapshot
from ktclient.submission import capacity, conditions, lent_keys
from server_bundle.embedded import weights

_ANSWERED = frozenset({Outcome.SUCCEEDED.value})
_ENDED_ITSELF = frozenset({Outcome.FAILED.value, Outcome.LOST.value})
"""Without an answer; a line that was only cancelled is asked again in any case."""


@dataclass(frozen=True)
class Handed:
    """What became of a file. `batch`: what was found out about it; None where an earlier job has
    done, or does, all of it, and nobody was asked. `kept`: lines that are not asked again."""

    job_id: str
    title: str
    lines: int
    kept: int
    batch: Batch | None


@dataclass(frozen=True)
class _Wish:
    """What is to be written, and of which requests."""

    results: str
    errors: str | None
    digest: str
    retry_failed: bool


def hand_over(
    name: str,
    options: Options,
    settings: config.Settings,
    on_progress: weights.Progress = lambda what, done, total: None,
    on_stored: Callable[[str], None] = lambda job_id: None,
) -> Handed:
    """Check a whole file ("-": standard input), store it as one job, make sure that a runner lives.

    A file that was handed over before needs no server. `on_stored` is told the id once it is on
    disk. Raises `BadInput` with all that is wrong with the file, `DoesNotFit` with all that does
    not fit, and what `handover.hand_over` raises; nothing is stored then. `ResultsUnwritable` where
    they are there already and cannot be written.
    """
    preflight.check(options.max_tokens, options.max_attempts, options.timeout)
    results = result_files.place(options.results, "results")
    errors = options.errors and result_files.place(options.errors, "errors")
    if len({results, errors or "", os.path.realpath(name)}) < 3:
        raise BadInput("the requests, their results and their errors need a file each")
    lines = file.read(name)
    wish = _Wish(results, errors, batch_spec.digest(lines), options.retry_failed)
    job, batch = _known(wish, settings), None
    if job is None:
        planned = batch_preflight.prepare(name, lines, options, settings, on_progress)
        job, is_new = _store(planned, wish, options, settings)
        batch = planned if is_new else None
    on_stored(job.id)
    with Store.open(settings.state) as store:
        kept = store.tally(job.id).ended
    if job.status is Status.FINISHED:
        _write_again(job, wish, settings)
    access.ensure_runner(settings.state)
    return Handed(job.id, batch_preflight.title_of(name), len(lines), kept, batch)


def _known(wish: _Wish, settings: config.Settings) -> StoredJob | None:
    """The job that has done all that is wished for, or is at it. Raises `BadInput` when it is at
    something else."""
    if not settings.state.has_database():
        return None
    with access.open_recovered(settings.state):
        pass  # a batch of which nobody takes care any more goes on from here
    with Successions.open(settings.state) as store:
        old = store.pursued(kinds.POOL, batch_spec.mark(wish.results))
        return old if old is not None and _is_it(old, wish) else None


def _store(
    batch: Batch, wish: _Wish, options: Options, settings: config.Settings
) -> tuple[StoredJob, bool]:
    spec = BatchSpec(
        results=wish.results,
        errors=wish.errors,
        mode=result_files.usual_mode(wish.results),
        lines=len(batch.requests),
        digest=wish.digest,
        server=batch.target.server,
        model=options.model,
        max_tokens=max(request.max_tokens for request in batch.requests),
        timeout=max(request.timeout for request in batch.requests),
        max_attempts=options.max_attempts,
    )
    new = NewJob(
        pool=kinds.POOL,
        spec=spec.to_json(),
        document=batch_spec.to_document(batch.requests),
        title=batch.title,
        max_attempts=kinds.ATTEMPTS,
        priority=options.priority,
        label=options.conditions.label,
        not_before=options.conditions.not_before,
        tellings=options.tellings,
    )
    server = batch.target.server
    with Successions.open(settings.state) as store, lent_keys.lending(settings, server):
        new = replace(new, needs=conditions.needed(store, options.conditions.after))
        capacities = {
            kinds.POOL: kinds.CAPACITY,
            server: capacity.of(store, batch.target),
        }
        return store.pursue(
            new,
            batch_spec.mark(wish.results),
            capacities,
            _heritage(batch, wish),
            lambda old: _is_it(old, wish),
        )


def _heritage(batch: Batch, wish: _Wish) -> Heritage:
    sums = {
        request.custom_id: hashlib.sha256(request.body).hexdigest() for request in batch.requests
    }
    return Heritage(sums, _ANSWERED if wish.retry_failed else _ANSWERED | _ENDED_ITSELF)


def _is_it(old: StoredJob, wish: _Wish) -> bool:
    """Whether the job that wrote this file last has done, or does, all that is wanted now. Raises
    `BadInput` when it is at something else."""
    before = BatchSpec.from_json(old.spec)
    is_same = before.digest == wish.digest and before.errors == wish.errors
    if old.status is not Status.FINISHED:
        if is_same and not old.cancel_requested_at:
            return True
        doing = "is being cancelled" if old.cancel_requested_at else "is at work on other requests"
        raise BadInput(
            f"job {old.id}, which writes {wish.results}, {doing}: wait for it (ktjob wait {old.id})"
            f" or end it (ktjob cancel {old.id}); what it has answered is kept"
        )
    if not is_same:
        return False
    has_failed = old.outcome is Outcome.FAILED and old.cause == PartFailed.cause
    return old.outcome is Outcome.SUCCEEDED or (has_failed and not wish.retry_failed)


def _write_again(job: StoredJob, wish: _Wish, settings: config.Settings) -> None:
    """The files of a batch that has ended: they may be gone, or another batch's by now."""
    with Store.open(settings.state) as store:
        text = snapshot.answer(store, job)
    if text:
        mode = result_files.usual_mode(wish.results)
        result_files.write_all(text, wish.results, wish.errors, mode, job.id)
