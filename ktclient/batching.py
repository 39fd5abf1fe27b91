"""A file of requests, handed over as one job: what is checked first, and what an earlier run of it
has answered already.

A batch is known by the file of its results. The newest job that writes it goes on: what it answered
under a custom_id, to the same body, is not asked again, whatever else changed in the file.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.model import Job as StoredJob
from jobs.model import NewJob, Outcome, Status
from jobs.store import Store
from jobs.succession import Heritage, Successions
from ktclient import (
    batch_file,
    batch_spec,
    batch_writing,
    conducting,
    config,
    documents,
    estimate,
    handover,
    snapshot,
    truth,
)
from ktclient import forecast as forecasts
from ktclient.batch_file import Line
from ktclient.batch_spec import BatchSpec, Request
from ktclient.errors import BadInput, DoesNotFit, PartFailed
from ktclient.handover import MAX_ATTEMPTS, MAX_TOKENS
from ktclient.request_body import Body
from ktclient.servers import choose, probe
from ktclient.servers.choose import Target
from ktclient.tokens import Estimate
from server_bundle import embedded

_MOST_TOLD = 20
_HANDED_ON = frozenset({Outcome.SUCCEEDED.value})
_ENDED_ITSELF = frozenset({Outcome.FAILED.value, Outcome.LOST.value})
"""Without an answer; a line that was only cancelled is asked again in any case."""


@dataclass(frozen=True)
class Options:
    """How a file is run. What its requests say themselves goes first."""

    results: str
    errors: str | None = None
    """A file of their own for lines that failed."""
    max_tokens: int = MAX_TOKENS
    """Of each answer to a request that names no limit."""
    timeout: float | None = None
    model: str | None = None
    server: str | None = None
    max_attempts: int = MAX_ATTEMPTS
    priority: int = 0
    retry_failed: bool = False


@dataclass(frozen=True)
class Batch:
    """A file that was checked. `seconds`: of reading all of it; None when nobody can know."""

    title: str
    target: Target
    requests: tuple[Request, ...]
    tokens: int
    seconds: float | None
    by: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Handed:
    """What became of it. `kept`: lines that are not asked, as they were asked before."""

    job_id: str
    is_new: bool
    kept: int


def hand_over(
    name: str,
    options: Options,
    settings: config.Settings,
    on_progress: embedded.Progress = lambda what, done, total: None,
    on_stored: Callable[[str], None] = lambda job_id: None,
) -> tuple[Batch, Handed]:
    """Check a whole file ("-": standard input), store it as one job, make sure that a runner lives.

    `on_stored` is told the id once it is on disk. Raises `BadInput` with all that is wrong with the
    file, `DoesNotFit` with all that does not fit, and what `handover.hand_over` raises; nothing is
    stored then.
    """
    _check(name, options)
    results = batch_writing.place(options.results, "results")
    errors = options.errors and batch_writing.place(options.errors, "errors")
    if len({results, errors or "", os.path.realpath(name)}) < 3:
        raise BadInput("the requests, their results and their errors need a file each")
    batch = prepare(name, batch_file.read(name), options, settings, on_progress)
    spec = _spec(batch, results, errors, options)
    handed = _store(batch, spec, options, settings)
    on_stored(handed.job_id)
    if not handed.is_new:
        _write_again(handed.job_id, spec, settings)
    truth.serve(settings.state)
    return batch, handed


def _check(name: str, options: Options) -> None:
    handover.check(options.max_tokens, options.max_attempts, options.timeout)
    if not name:
        raise BadInput("name a file of requests")


# -- what is asked --------------------------------------------------------------------------


def prepare(
    name: str,
    lines: Sequence[Line],
    options: Options,
    settings: config.Settings,
    on_progress: embedded.Progress = lambda what, done, total: None,
) -> Batch:
    """Find the server, and judge each request by it. Raises `DoesNotFit` with all that do not."""
    is_stdin = name == documents.STDIN
    title = "standard input" if is_stdin else documents.printable(Path(name).name)
    target = choose.choose(settings, options.server, options.model)
    longest = max(lines, key=lambda line: len(line.body))
    body = Body.from_bytes(longest.body)
    most = body.max_tokens or options.max_tokens
    target = forecasts.look(body.text, most, target, settings, on_progress)
    naming = _Naming(target, target.model, settings)
    scale = _Scale(target, options, settings)
    requests = tuple(scale.request(line, naming) for line in lines)
    if scale.too_long:
        raise DoesNotFit(_what_does_not_fit(title, scale.too_long))
    notes = [*naming.notes(), *scale.notes(sum(line.marks for line in lines))]
    seconds = scale.seconds if scale.belief is not None else None
    return Batch(title, target, requests, scale.tokens, seconds, scale.by, tuple(notes))


def _what_does_not_fit(title: str, too_long: list[str]) -> str:
    listed = "".join(f"\n  {one}" for one in too_long[:_MOST_TOLD])
    more = len(too_long) - _MOST_TOLD
    rest = f"\n  and {more:,} more" if more > 0 else ""
    return f"{title} cannot be run, and nothing was stored:{listed}{rest}"


class _Naming:
    """Which model each request is for. Files are written for models that a server of one's own does
    not have: it is asked for what it serves then."""

    def __init__(self, target: Target, named: str | None, settings: config.Settings) -> None:
        self._named = named
        key = settings.key_for(target.server)
        self._known = probe.names(target.facts.url, key) if target.facts and not named else ()
        self._serves = target.facts.model if target.facts else embedded.MODEL
        self._others: Counter[str] = Counter()

    def of(self, body: Body) -> str | None:
        if self._named is not None:
            return self._named
        if body.model is None or body.model in self._known:
            return body.model
        self._others[body.model] += 1
        return None

    def notes(self) -> list[str]:
        return [
            f"{count:,} requests are for {name}, which the server does not name: it answers them "
            f"with {self._serves}"
            for name, count in self._others.items()
        ]


class _Scale:
    """Counts requests, and sums up what they take."""

    def __init__(self, target: Target, options: Options, settings: config.Settings) -> None:
        self._target, self._options, self._settings = target, options, settings
        self.belief, self.by = forecasts.belief_of(target, settings)
        self.tokens = 0
        self.seconds = 0.0
        self.too_long: list[str] = []
        self._unbounded = 0

    def request(self, line: Line, naming: _Naming) -> Request:
        body = Body.from_bytes(line.body)
        most = body.max_tokens or self._options.max_tokens
        self._unbounded += body.max_tokens is None
        count, verdict = forecasts.weigh(
            body.text,
            most,
            self._target,
            self._settings,
            is_one=body.is_one_text,
            surplus=body.surplus_tokens,
        )
        if not verdict.fits:
            self.too_long.append(f"line {line.number} ({verdict.reason}). {verdict.cure}")
        self.tokens += count.tokens
        counted = None if count.is_rough else Estimate(count.low, count.tokens, count.high)
        return Request(
            custom_id=line.custom_id,
            body=line.body,
            model=naming.of(body),
            max_tokens=most,
            timeout=self._timeout(count.tokens),
            weight=count.high + most,
            counted=counted,
        )

    def _timeout(self, tokens: int) -> float:
        expected = None if self.belief is None else self.belief.first_token(tokens)
        self.seconds += 0.0 if expected is None else expected.seconds
        if self._options.timeout is not None:
            return self._options.timeout
        if expected is None:
            return estimate.LEAST_TIMEOUT_SECONDS
        return estimate.timeout(expected)

    def notes(self, marks: int) -> list[str]:
        told = []
        if self._unbounded:
            told.append(
                f"{self._unbounded:,} requests name no max_tokens: {self._options.max_tokens:,} "
                "for each; change that with --max-tokens"
            )
        if marks:
            told.append(f"{marks:,} chat-template marks in their messages were made harmless")
        return told


# -- what is stored -------------------------------------------------------------------------


def _spec(batch: Batch, results: str, errors: str | None, options: Options) -> BatchSpec:
    return BatchSpec(
        results=results,
        errors=errors,
        mode=batch_writing.usual_mode(results),
        lines=len(batch.requests),
        digest=batch_spec.digest(batch.requests),
        server=batch.target.server,
        model=options.model,
        max_tokens=options.max_tokens,
        timeout=max(request.timeout for request in batch.requests),
        max_attempts=options.max_attempts,
    )


def _store(batch: Batch, spec: BatchSpec, options: Options, settings: config.Settings) -> Handed:
    new = NewJob(
        pool=conducting.POOL,
        spec=spec.to_json(),
        document=batch_spec.to_document(batch.requests),
        title=batch.title,
        max_attempts=conducting.ATTEMPTS,
        priority=options.priority,
    )
    documents_of = {
        request.custom_id: hashlib.sha256(request.body).hexdigest() for request in batch.requests
    }
    outcomes = _HANDED_ON if options.retry_failed else _HANDED_ON | _ENDED_ITSELF
    with truth.told(settings.state):
        pass  # what is called running runs: a batch of which nobody takes care goes on
    with Successions.open(settings.state) as store:
        capacities = {
            conducting.POOL: conducting.CAPACITY,
            batch.target.server: handover.capacity_of(store, batch.target),
        }
        job, is_new = store.pursue(
            new,
            spec.mark,
            capacities,
            Heritage(documents_of, outcomes),
            lambda old: _is_it(old, spec, options),
        )
        kept = store.tally(job.id)
    return Handed(job.id, is_new, kept.ended if is_new else kept.total)


def _is_it(old: StoredJob, spec: BatchSpec, options: Options) -> bool:
    """Whether the job that wrote this file last has done, or does, all that is wanted now. Raises
    `BadInput` when it is at something else."""
    before = BatchSpec.from_json(old.spec)
    is_same = before.digest == spec.digest and before.errors == spec.errors
    if old.status is not Status.FINISHED:
        if is_same and not old.cancel_requested_at:
            return True
        doing = "is being cancelled" if old.cancel_requested_at else "is at work on other requests"
        raise BadInput(
            f"job {old.id}, which writes {spec.results}, {doing}: wait for it (ktjob wait {old.id})"
            f" or end it (ktjob cancel {old.id}); what it has answered is kept"
        )
    if not is_same:
        return False
    has_failed = old.outcome is Outcome.FAILED and old.cause == PartFailed.cause
    return old.outcome is Outcome.SUCCEEDED or (has_failed and not options.retry_failed)


def _write_again(job_id: str, spec: BatchSpec, settings: config.Settings) -> None:
    """The files of a batch that has ended: they may be gone, or another batch's by now."""
    with Store.open(settings.state) as store:
        job = store.job(job_id)
        text = snapshot.answer(store, job) if job.status is Status.FINISHED else ""
    if text:
        batch_writing.write_all(text, spec.results, spec.errors, spec.mode, job_id)
