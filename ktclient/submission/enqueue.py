"""Store the jobs of one submit: all of them, or none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from jobs.model import Capacity, NewJob
from jobs.store.store import Store
from ktclient.config import settings as config
from ktclient.documents.document import Document
from ktclient.errors import DoesNotFit
from ktclient.planning import beginning, preflight
from ktclient.planning.forecast import Forecast
from ktclient.prompts.tasks import Task
from ktclient.records import access, kinds
from ktclient.submission import capacity, idempotency, lent_keys
from ktclient.submission import conditions as submission_conditions
from ktclient.submission.options import SubmitOptions
from ktclient.submission.spec import JobSpec
from ktclient.tokens.estimate import Estimate
from server_bundle.embedded import weights


def enqueue(
    document: Document,
    options: SubmitOptions,
    settings: config.Settings,
    on_progress: weights.Progress = lambda what, done, total: None,
    on_stored: Callable[[str], None] = lambda job_id: None,
) -> list[tuple[str, Forecast]]:
    """`enqueue_all` of one document."""
    return enqueue_all([document], options, settings, on_progress, on_stored)


def enqueue_all(
    documents: Sequence[Document],
    options: SubmitOptions,
    settings: config.Settings,
    on_progress: weights.Progress = lambda what, done, total: None,
    on_stored: Callable[[str], None] = lambda job_id: None,
) -> list[tuple[str, Forecast]]:
    """Check everything that can be checked now, store the jobs, make sure that the runner is alive.
    Returns the ids: those of the first document in the order of the tasks, then the next one's.

    `on_progress` reports documents that are counted, and downloads, which happen here only if the
    embedded model's tokenizer is needed to decide whether the document fits. `on_stored` is
    called with each id as soon as all jobs are on disk: from then on they run, even if the caller
    dies.

    Raises `BadInput`, `NoServer` and its leaves, `Unauthorized`, `WrongAddress`, `DoesNotFit` and
    `StoreUnusable`, and for jobs to start after `NoSuchJob` and `AmbiguousId`: nothing is stored
    then. Once the jobs are stored it raises nothing: without a runner the next command starts one.
    """
    preflight.check_priority(options.priority)
    needs = _needs(options, settings)
    before = preflight.forecast_all(documents, options.request, settings, on_progress)
    new: list[NewJob] = []
    for document, forecasts_of_it in zip(documents, before, strict=True):
        for one in forecasts_of_it:
            require_fit(one, "" if len(documents) == 1 else document.title)
        body = document.text.encode()
        new += [
            replace(new_job(document, body, one, _of_task(options, task), settings), needs=needs)
            for task, one in zip(
                preflight.tasks_for(document, options.request), forecasts_of_it, strict=True
            )
        ]
    each = [one for forecasts_of_it in before for one in forecasts_of_it]
    if len(new) > 1:  # a group notifies of its end as a whole
        new = [replace(one, tellings=()) for one in new]
    new = _keyed(new, options)
    servers = dict.fromkeys(one.target.server for one in each)
    with Store.open(settings.state) as store, contextlib.ExitStack() as lent:
        for server in servers:
            lent.enter_context(lent_keys.lending(settings, server))
        tellings = options.notifications if len(new) > 1 else None
        stored = store.submit_all(new, capacities(store, each), tellings)
    if options.key is not None:  # another process may have used the key for another document
        known = options.key, documents, options.request.tasks, options.request.generation
        idempotency.existing(*known, settings)
    for job in stored:
        on_stored(job.id)
    access.ensure_runner(settings.state)
    return [(job.id, one) for job, one in zip(stored, each, strict=True)]


def _keyed(new: list[NewJob], options: SubmitOptions) -> list[NewJob]:
    if options.key is None:
        return new
    key = idempotency.check(options.key)
    return [
        replace(one, submit_key=idempotency.of_job(key, number)) for number, one in enumerate(new)
    ]


def capacities(store: Store, before: Sequence[Forecast]) -> dict[str, Capacity]:
    """The capacities of the pools of jobs with these forecasts."""
    targets = {one.target.server: one.target for one in before}
    found = {server: capacity.of(store, target) for server, target in targets.items()}
    if any(one.split is not None for one in before):
        found[kinds.POOL] = kinds.CAPACITY
    return found


def require_fit(before: Forecast, title: str = "") -> None:
    """Raises `DoesNotFit`; with a `title`, it names the document."""
    if before.can_run:
        return
    try:
        before.verdict.require()
    except DoesNotFit as error:
        raise (DoesNotFit(f"{title}: {error}") if title else error) from None


def _of_task(options: SubmitOptions, task: Task) -> SubmitOptions:
    return replace(options, request=replace(options.request, tasks=(task,)))


def new_job(
    document: Document,
    body: bytes,
    before: Forecast,
    options: SubmitOptions,
    settings: config.Settings,
) -> NewJob:
    """The job for the one task of `options` and its forecast. `body`: the document's text."""
    (task,) = options.request.tasks
    request = options.request
    count, limit = before.count, request.answer_limit(task)
    counted = None if count.is_rough else Estimate(count.low, count.tokens, count.high)
    spec = JobSpec(
        task=task,
        server=before.target.server,
        model=before.target.chosen_model,
        is_model_chosen=before.target.model is None,
        max_tokens=limit,
        timeout=before.deadline,
        is_lasting=request.timeout is None,
        counted=counted,
        manner=request.generation,
        split=before.split,
        has_key=settings.has_key_for(before.target.server),
        others=before.target.others,
        prefix=beginning.of_task(before.target.facts, request.generation, settings),
        thinking="" if before.words is None else str(before.words),
        remarks=document.remarks(),
    )
    is_split = before.split is not None
    return NewJob(
        pool=kinds.POOL if is_split else before.target.server,
        spec=spec.to_json(),
        document=body,
        title=document.title,
        weight=1 if is_split else count.high + limit,
        max_attempts=kinds.ATTEMPTS if is_split else request.max_attempts,
        priority=options.priority,
        label=options.conditions.label,
        not_before=options.conditions.not_before,
        delay_seconds=options.conditions.delay_seconds,
        tellings=options.notifications,
        submit_key=options.submit_key,
        request=options.http_request,
    )


def _needs(options: SubmitOptions, settings: config.Settings) -> tuple[str, ...]:
    """Ids of the jobs to start after. The runner handles one that fails from now on."""
    if not options.conditions.after:
        return ()
    with access.open_recovered(settings.state) as store:
        return submission_conditions.needed(store, options.conditions.after)
