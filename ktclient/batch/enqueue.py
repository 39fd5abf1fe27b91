"""Submit a batch file as one job, reusing what an earlier run of it has already answered.

A batch is identified by its result file. An answer to the same body under the same custom_id, in
any job that writes that file, is reused, even if other lines of the file changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from jobs.errors import PartFailed
from jobs.model import Job as StoredJob
from jobs.model import NewJob, Outcome, Status
from jobs.store.resume import Heritage, Successions
from jobs.store.store import Store
from ktclient.batch import file, result_files
from ktclient.batch import preflight as batch_preflight
from ktclient.batch import retry as batch_retry
from ktclient.batch import spec as batch_spec
from ktclient.batch.file import Line
from ktclient.batch.preflight import Batch, Options
from ktclient.batch.spec import BatchSpec
from ktclient.config import settings as config
from ktclient.errors import BadInput
from ktclient.planning import preflight
from ktclient.records import access, kinds, snapshot, written_files
from ktclient.records.written_files import Output
from ktclient.submission import capacity, conditions, lent_keys
from server_bundle.embedded import weights

_ANSWERED = frozenset({Outcome.SUCCEEDED.value})
_ENDED_ITSELF = frozenset({Outcome.FAILED.value, Outcome.LOST.value})
"""Ended without an answer; a cancelled line is always sent again."""


@dataclass(frozen=True)
class StoredBatch:
    """The result of a submit. `batch`: the check of the file; None if an earlier job has done, or
    is doing, all of it, and no server was queried. `kept`: lines that are not sent again."""

    job_id: str
    title: str
    lines: int
    kept: int
    batch: Batch | None


@dataclass(frozen=True)
class _Destination:
    """The files to write, and the requests that they are for: `digest` of them now, and as earlier
    versions stored it."""

    results: str
    errors: str | None
    digest: str
    digest_before: str
    retry_failed: bool


def enqueue(
    name: str,
    options: Options,
    settings: config.Settings,
    on_progress: weights.Progress = lambda what, done, total: None,
    on_stored: Callable[[str], None] = lambda job_id: None,
) -> StoredBatch:
    """Check a whole batch file ("-": standard input), store it as one job, ensure that a runner is
    alive.

    A file that was submitted before needs no server. `on_stored` is called with the id once it is
    on disk. Raises `BadInput` listing all errors in the file, `DoesNotFit` listing all requests
    that do not fit, and what `submission.enqueue` raises; nothing is stored then. Raises
    `ResultsUnwritable` if the results exist already and cannot be written.
    """
    preflight.check(options.max_tokens, options.max_attempts, options.timeout)
    preflight.check_priority(options.priority)
    results = result_files.place(options.results, "results")
    errors = options.errors and result_files.place(options.errors, "errors")
    if len({results, errors or "", os.path.realpath(name)}) < 3:
        raise BadInput("the requests, the results and the errors need three different files")
    lines = file.read(name)
    wish = _Destination(
        results,
        errors,
        batch_spec.digest(lines),
        batch_spec.digest_before(lines),
        options.retry_failed,
    )
    job, batch = _existing(wish, settings), None
    if job is None:
        _require_free(wish, settings, force=options.force)
        planned = batch_preflight.prepare(name, lines, options, settings, on_progress)
        job, is_new = _store(planned, lines, wish, options, settings)
        batch = planned if is_new else None
    on_stored(job.id)
    with Store.open(settings.state) as store:
        kept = store.tally(job.id).ended
    if job.status is Status.FINISHED:
        _write_again(job, wish, settings)
    access.ensure_runner(settings.state)
    return StoredBatch(job.id, batch_preflight.title_of(name), len(lines), kept, batch)


def _existing(wish: _Destination, settings: config.Settings) -> StoredJob | None:
    """The job that has done, or is doing, all of this batch. Raises `BadInput` if it is working on
    other requests."""
    if not settings.state.has_database():
        return None
    with access.open_recovered(settings.state):
        pass  # this resumes a batch whose worker has died
    with Successions.open(settings.state) as store:
        old = store.pursued(kinds.POOL, batch_spec.mark(wish.results))
        return old if old is not None and _is_it(old, wish) else None


def _require_free(wish: _Destination, settings: config.Settings, *, force: bool) -> None:
    """Raises `BadInput` where a file would be lost. That of a batch that is stored can be written
    again."""
    if settings.state.has_database():
        with Successions.open(settings.state) as store:
            if store.pursued(kinds.POOL, batch_spec.mark(wish.results)) is not None:
                return
    for path in filter(None, (wish.results, wish.errors)):
        written_files.require_replaceable(settings.state, Output(path, (), force))


def _store(
    batch: Batch,
    lines: Sequence[Line],
    wish: _Destination,
    options: Options,
    settings: config.Settings,
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
        has_key=settings.has_key_for(batch.target.server),
        others=batch.target.others,
        others_serve=batch.target.chosen_model,
        shares={one.server: settings.has_key_for(one.server) for one in batch.shares},
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
        delay_seconds=options.conditions.delay_seconds,
        tellings=options.tellings,
    )
    servers = (batch.target, *batch.shares)
    urls = (one.server for one in servers)
    with Successions.open(settings.state) as store, lent_keys.lending(settings, *urls):
        new = replace(new, needs=conditions.needed(store, options.conditions.after))
        sizes = {one.server: capacity.of(store, one) for one in servers}
        capacities = {kinds.POOL: kinds.CAPACITY, **sizes}
        return store.pursue(
            new,
            batch_spec.mark(wish.results),
            capacities,
            _heritage(lines, wish),
            lambda old: _is_it(old, wish),
        )


def _heritage(lines: Sequence[Line], wish: _Destination) -> Heritage:
    sums = batch_spec.sums(lines)
    return Heritage(sums, _ANSWERED if wish.retry_failed else _ANSWERED | _ENDED_ITSELF)


def _is_it(old: StoredJob, wish: _Destination) -> bool:
    """Whether the job that wrote this file last has done, or is doing, all of this batch. Raises
    `BadInput` if it is working on other requests."""
    before = BatchSpec.from_json(old.spec)
    is_same = before.digest in (wish.digest, wish.digest_before) and before.errors == wish.errors
    if old.status is not Status.FINISHED:
        if is_same and not old.cancel_requested_at:
            return True
        raise batch_retry.busy(old, wish.results)
    if not is_same:
        return False
    has_failed = old.outcome is Outcome.FAILED and old.cause == PartFailed.cause
    return old.outcome is Outcome.SUCCEEDED or (has_failed and not wish.retry_failed)


def _write_again(job: StoredJob, wish: _Destination, settings: config.Settings) -> None:
    """Write an ended batch's files again: they may be missing, or overwritten by another batch."""
    with Store.open(settings.state) as store:
        text = snapshot.answer(store, job)
    if text:
        mode = result_files.usual_mode(wish.results)
        result_files.write_all(text, wish.results, wish.errors, mode, job.id)
