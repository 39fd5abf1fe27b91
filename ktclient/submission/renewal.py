"""A stored job with other options: for `edit` of one that waits, and `rerun` of any.

The document and all that nobody changes stay as they were. The new request is counted and checked
like any other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from jobs import clock, durations
from jobs.model import Capacity, Job, NewJob, NewRequest
from jobs.store.control import Control, Replacement, require_editable
from jobs.store.rerun import Retries
from jobs.store.store import Store
from ktclient import times, urls
from ktclient.config import settings as config
from ktclient.config.servers import ANY
from ktclient.errors import BadInput, DeadlineExceeded, KtjobError
from ktclient.planning import forecast as forecasts
from ktclient.planning import prefill_time, preflight
from ktclient.planning.forecast import Forecast
from ktclient.planning.options import RequestOptions
from ktclient.prompts.tasks import Kind
from ktclient.records import access, kinds
from ktclient.submission import body_limit, conditions, enqueue, lent_keys
from ktclient.submission.asked_again import AskedAgain
from ktclient.submission.changes import NOW, Changes
from ktclient.submission.spec import JobSpec, server_of
from server_bundle.embedded import weights


@dataclass(frozen=True)
class Renewed:
    """A job that was edited or run again."""

    id: str
    forecast: Forecast | None
    """None: the request is the old one, and was not checked again."""
    note: str | None = None
    """What is not as in the old job although nobody changed it."""


Progress = weights.Progress
_New = tuple[NewJob, dict[str, Capacity], "Forecast | None", "str | None"]
"""A new request: the job, the capacities of its pools, its forecast, and `Renewed.note`."""
_MOST_TEXTS = 100
"""Documents that are decoded at a time."""


def _silent(what: str, done: int, total: int) -> None:
    """No progress is shown."""


def edit(
    job_ids: Sequence[str],
    changes: Changes,
    settings: config.Settings,
    on_progress: Progress = _silent,
) -> list[Renewed]:
    """Change jobs that wait, all or none, in one transaction. The ids are whole.

    Raises `IllegalTransition` with the reason if one has begun or ended, also while this counted
    its tokens, and what a submit raises: then nothing is changed. So an accepted edit holds for the
    request that is sent.
    """
    require_any(changes)
    with access.open_recovered(settings.state) as store:
        olds = store.jobs_of(job_ids)
        for old in olds:
            require_editable(old)
        plains = [_with_conditions(_same(store, old), changes) for old in olds]
    both = list(zip(olds, plains, strict=True))
    renewed = _all_renewed(both if changes.is_of_request else (), changes, settings, on_progress)
    several, done = [], []
    for old, plain in both:
        new, capacities, before, note = renewed.get(old.id, (plain, {}, None, None))
        several.append(Replacement(old, new, capacities, _differences(old, new)))
        done.append(Renewed(old.id, before, note))
    with Control.open_existing(settings.state) as control, _lending(settings, several):
        control.change(several)
    access.ensure_runner(settings.state)
    return done


def require_any(changes: Changes) -> None:
    """Raises `BadInput` for an edit without a change."""
    if changes == Changes():
        raise BadInput("nothing to change: give at least one option (ktjob edit --help)")


def rerun(
    job_ids: Sequence[str],
    changes: Changes,
    settings: config.Settings,
    on_progress: Progress = _silent,
    request: NewRequest | None = None,
) -> list[Renewed]:
    """New jobs like old ones in whatever state, with these changes; several are a group. The ids
    are whole. Each call makes other jobs. `request`: the one over HTTP with which one job comes.

    Raises what a submit raises, and `BadInput` for a batch; then nothing is stored.
    """
    with access.open_recovered(settings.state) as store:
        olds = store.jobs_of(job_ids)
        for old in olds:
            _require_repeatable(old)
        plains = [_with_conditions(_from_now(_same(store, old)), changes) for old in olds]
        known = store.capacities()
    both = list(zip(olds, plains, strict=True))
    # Checked again though nothing of it changes: so of an imported job the spec is new.
    asked = [one for one in both if changes.is_of_request or _is_of_document(one[0])]
    renewed = _all_renewed(asked, changes, settings, on_progress)
    several, capacities, done = [], dict[str, Capacity](), []
    for old, plain in both:
        as_before = (plain, {plain.pool: known[plain.pool]}, None, None)
        new, of_one, before, note = renewed.get(old.id, as_before)
        capacities |= of_one
        several.append(Replacement(old, replace(new, request=request), of_one, {}))
        done.append((before, note))
    with Retries.open_existing(settings.state) as retries, _lending(settings, several):
        created = retries.rerun([(one.before.id, one.new) for one in several], capacities)
    access.ensure_runner(settings.state)
    return [Renewed(job.id, *more) for job, more in zip(created, done, strict=True)]


def _require_repeatable(old: Job) -> None:
    if kinds.kind_of(old.spec) == kinds.BATCH:
        raise BadInput(
            f"job {old.id} is a batch. To send what failed again: ktjob retry {old.id}. To "
            "send all of it again: ktjob batch FILE with another results file"
        )
    kinds.require_own(old, needs_document=True)
    if kinds.imported(old.spec) is not None and not _is_of_document(old):
        raise BadInput(f"job {old.id} was imported and has whole requests: send them again")


@contextlib.contextmanager
def _lending(settings: config.Settings, several: Sequence[Replacement]) -> Iterator[None]:
    """Lend the keys of all their servers."""
    with contextlib.ExitStack() as stack:
        for server in dict.fromkeys(server_of(one.new.spec) for one in several):
            stack.enter_context(lent_keys.lending(settings, server))
        yield


@contextlib.contextmanager
def _naming(old: Job, count: int) -> Iterator[None]:
    """Name the job in an error, if it is one of several."""
    try:
        yield
    except KtjobError as error:
        if count > 1 and error.args and old.id not in str(error):
            error.args = (f"job {old.id}: {error.args[0]}", *error.args[1:])
        raise


def lasting(spec: JobSpec) -> JobSpec:
    """The spec without its time limit, which an attempt has exceeded: that of a submit without
    one, of which this is the least."""
    limit = max(spec.timeout, prefill_time.LEAST_TIMEOUT_SECONDS)
    return replace(spec, timeout=limit, is_lasting=True)


def has_exceeded(old: Job, spec: JobSpec) -> bool:
    """Whether a job ended by its own time limit: with the same one it would end so again."""
    return old.cause == DeadlineExceeded.cause and not spec.is_lasting


def exceeded_note(spec: JobSpec, command: str = "") -> str:
    """What is said where that limit is not taken over; `command`: the one that sets another."""
    how = f"{command} --timeout".strip()
    limit = f"{durations.exact(spec.timeout)} s"
    return f"without the time limit of {limit}, which that job exceeded; to set one: {how}"


def is_of_foreign_server(old: Job, spec: JobSpec, settings: config.Settings) -> bool:
    """Whether an imported job names a server that is not configured here. Nothing is sent there:
    the file would decide who gets the question, and the key in KTJOB_API_KEY."""
    if kinds.imported(old.spec) is None or spec.server == config.EMBEDDED:
        return False
    known = (settings.default, *settings.servers.values(), settings.meant(None))
    return not any(one and urls.is_same(one.url or "", spec.server) for one in known)


def options(old: Job, spec: JobSpec, changes: Changes, settings: config.Settings) -> RequestOptions:
    """The request of a stored job with these changes. Raises `BadInput`."""
    is_limited = not (spec.is_lasting or has_exceeded(old, spec))
    kept = spec.timeout if is_limited else None
    is_foreign = is_of_foreign_server(old, spec, settings)
    is_other = changes.server is not None or is_foreign
    model = None if spec.is_model_chosen or is_other else spec.model
    server = changes.server if is_other else spec.server
    if spec.others and changes.server is None:  # it may still have any that serves this model
        server, model = ANY, spec.model
    return RequestOptions(
        tasks=(changes.task(spec.task),),
        max_tokens=spec.max_tokens if changes.max_tokens is None else changes.max_tokens,
        timeout=kept if changes.timeout is None else changes.timeout,
        model=model if changes.model is None else changes.model,
        seen_model=spec.model,
        server=server,
        server_from=None if is_other else f"as in job {old.id}",
        max_attempts=old.max_attempts if spec.split is None else spec.split.attempts,
        patience=forecasts.PATIENCE_SECONDS,
        generation=changes.manner(spec.manner),
    )


def _all_renewed(
    several: Sequence[tuple[Job, NewJob]],
    changes: Changes,
    settings: config.Settings,
    on_progress: Progress,
) -> dict[str, _New]:
    """The new requests of jobs, by id. Those that ask the same of their documents are checked as in
    one submit: the server is queried once, and `any` decides for each after those before it."""
    found: dict[str, _New] = {}
    alike: dict[RequestOptions, list[AskedAgain]] = {}
    for old, plain in several:
        with _naming(old, len(several)):
            if changes.is_of_limit and _is_body(old):
                assert changes.max_tokens is not None
                limited = body_limit.renewed(old, plain, changes.max_tokens, settings)
                found[old.id] = (*limited, None)
                continue
            spec = _spec(old)
            wanted = options(old, spec, changes, settings)
        asked = AskedAgain(old, plain, spec, wanted)
        alike.setdefault(replace(wanted, server_from=None), []).append(asked)
    for same in alike.values():
        for at in range(0, len(same), _MOST_TEXTS):
            some = same[at : at + _MOST_TEXTS]
            found |= _together(some, changes, settings, on_progress, len(several))
    return found


def _together(
    some: Sequence[AskedAgain],
    changes: Changes,
    settings: config.Settings,
    on_progress: Progress,
    count: int,
) -> dict[str, _New]:
    """The same of jobs with equal options; `count`: of all jobs of the command."""
    documents, wanted = [one.document() for one in some], some[0].options
    with _naming(some[0].old, count):
        before = preflight.forecast_all(documents, wanted, settings, on_progress)
    found: dict[str, _New] = {}
    with Store.open_existing(settings.state) as store:
        for one, document, (forecast,) in zip(some, documents, before, strict=True):
            with _naming(one.old, count):
                enqueue.require_fit(forecast)
                new = one.renewed(document, forecast, settings)
            is_dropped = changes.timeout is None and has_exceeded(one.old, one.spec)
            note = exceeded_note(one.spec) if is_dropped else None
            found[one.old.id] = (new, enqueue.capacities(store, [forecast]), forecast, note)
    return found


def _spec(old: Job) -> JobSpec:
    if kinds.kind_of(old.spec) == kinds.BATCH or not _is_of_document(old):
        known = "its label and its start time"
        if _is_body(old):
            known = "its label, its start time and its max tokens"
        raise BadInput(
            f"job {old.id} has whole requests and no question about a document: only {known} can "
            "be changed"
        )
    return JobSpec.from_json(old.spec)


def _is_body(old: Job) -> bool:
    """Whether the job is one request body."""
    return kinds.kind_of(old.spec) is None and not _is_of_document(old)


def _is_of_document(old: Job) -> bool:
    if kinds.kind_of(old.spec) == kinds.BATCH:
        return False
    return JobSpec.from_json(old.spec).task.kind not in (Kind.REQUEST, Kind.BATCH)


def _same(store: Store, old: Job) -> NewJob:
    """What was submitted with a job, for a new one: without its key, its place in another job, and
    prerequisites that are met."""
    needs = store.needs_of([old]).get(old.id, ())
    return NewJob(
        pool=old.pool,
        spec=old.spec,
        document=store.document(old.document),
        title=old.title,
        weight=old.weight,
        max_attempts=old.max_attempts,
        priority=old.priority,
        label=old.label,
        not_before=old.not_before,
        needs=tuple(need.id for need in needs if not need.is_met),
        tellings=store.tellings(old.id),
    )


def _from_now(new: NewJob) -> NewJob:
    """Without a start time that has passed."""
    is_early = new.not_before is not None and new.not_before > clock.now()
    return new if is_early else replace(new, not_before=None)


def _with_conditions(new: NewJob, changes: Changes) -> NewJob:
    """Raises `BadInput` for a label or a time that is none."""
    if changes.label is not None:
        label = conditions.conditions(changes.label).label if changes.label else None
        new = replace(new, label=label)
    if changes.at == NOW:
        return replace(new, not_before=None, delay_seconds=None)
    if changes.at is not None:
        found = conditions.conditions(at=changes.at)
        return replace(new, not_before=found.not_before, delay_seconds=times.span(changes.at))
    return new


def _differences(old: Job, new: NewJob) -> Mapping[str, object]:
    """What an edit changes, for the job's history: [before, after] of each."""
    rows = {"label": (old.label, new.label), "not_before": (old.not_before, new.not_before)}
    if old.spec != new.spec:
        before, after = JobSpec.from_json(old.spec), JobSpec.from_json(new.spec)
        for name in ("server", "model", "max_tokens", "timeout"):
            rows[name] = (getattr(before, name), getattr(after, name))
        rows["question"] = (before.task.text or None, after.task.text or None)
        rows["thinking"] = (before.manner.thinking, after.manner.thinking)  # type: ignore[assignment]
        rows["effort"] = (before.manner.effort, after.manner.effort)
    return {name: list(both) for name, both in rows.items() if both[0] != both[1]}
