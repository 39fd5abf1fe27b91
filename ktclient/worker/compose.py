"""Build the request of a job, with a last check that it fits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from jobs.worker.attempt import RunningAttempt
from ktclient.documents import turn_marks
from ktclient.documents.turn_marks import TurnMarks
from ktclient.planning import fit
from ktclient.prompts import tasks
from ktclient.prompts.tasks import Kind
from ktclient.request import body_marks
from ktclient.request.body import Body
from ktclient.request.stream import SCHEMA, LongRequest
from ktclient.servers import listening, queries
from ktclient.servers import turn_marks as servers_turn_marks
from ktclient.servers.dialects import llamacpp
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.submission.spec import JobSpec
from ktclient.tokens import estimate
from ktclient.worker.heartbeat import call_in_thread
from ktclient.worker.job_settings import JobSettings

SURVEY_SECONDS = 2.0
"""How long a server may take to report an unknown pool: a busy one is not waited for, because its
pool was queried at submit."""


def request(
    attempt: RunningAttempt,
    facts: ServerFacts,
    spec: JobSpec,
    settings: JobSettings,
    *,
    without: frozenset[str],
) -> LongRequest:
    """The request, without turn marks of this server's model in any text that is not ktjob's, and
    `without` the fields that the server has refused."""
    marks, found = _marks(attempt, facts, spec, settings), Counter[str]()
    made = _of_body if spec.task.kind is Kind.REQUEST else _of_task
    new = made(attempt, facts, spec, settings, marks, found)
    schema = tasks.response_format(spec.task)
    if schema is not None:
        new.extras[SCHEMA] = body_marks.annotations_harmless(schema, marks, found)
    _tell(attempt, found)
    return replace(new, without=without)


def _tell(attempt: RunningAttempt, found: Counter[str]) -> None:
    """Record what was made harmless."""
    if found:
        many = sum(found.values())
        attempt.log_event("marks made harmless", count=many, marks=turn_marks.in_words(found))
        attempt.record_metrics(turn_marks=many)


def _marks(
    attempt: RunningAttempt, facts: ServerFacts, spec: JobSpec, settings: JobSettings
) -> TurnMarks:
    """The turn marks of the model that gets the request: it may be another one than at submit."""
    run = listening.run_of(facts.url)
    told, is_fresh = servers_turn_marks.recall(attempt, spec.server, facts.model, run)
    if not is_fresh:
        key = settings.api_key
        new = call_in_thread(attempt, lambda: servers_turn_marks.ask(facts, key))
        if new is not None:
            servers_turn_marks.save(attempt, spec.server, facts.model, new, run)
            told = new
    return servers_turn_marks.of(told, facts.model)


def _of_task(
    attempt: RunningAttempt,
    facts: ServerFacts,
    spec: JobSpec,
    settings: JobSettings,
    marks: TurnMarks,
    found: Counter[str],
) -> LongRequest:
    message = marks.harmless(tasks.message(attempt.document().decode(), spec.task), found)
    system = spec.manner.system
    if system is not None:
        system = marks.harmless(system, found)
    whole = replace(spec.manner, system=system).with_system(message)
    _check_fit(attempt, facts, whole, spec, settings, is_one=system is None)
    extras = queries.request_fields(facts, attempt.rid, spec.manner.thinking, spec.manner.effort)
    if spec.manner.temperature is not None:
        extras["temperature"] = spec.manner.temperature
    return LongRequest(
        url=facts.url,
        model=facts.model,
        message=message,
        max_tokens=spec.max_tokens,
        rid=attempt.rid,
        extras=extras,
        api_key=settings.api_key,
        system=system,
    )


def _of_body(
    attempt: RunningAttempt,
    facts: ServerFacts,
    spec: JobSpec,
    settings: JobSettings,
    marks: TurnMarks,
    found: Counter[str],
) -> LongRequest:
    """A request body written by the user; fields that it lacks get ktjob's usual values."""
    body = Body.from_bytes(attempt.document()).harmless(marks, found)
    _check_fit(attempt, facts, body.text, spec, settings, is_one=body.is_one_text)
    ours = queries.request_fields(facts, attempt.rid)
    if body.tells_of_thinking or spec.is_relayed:
        ours.pop("chat_template_kwargs", None)
    return LongRequest(
        url=facts.url,
        model=facts.model,
        message="",
        max_tokens=spec.max_tokens,
        rid=attempt.rid,
        extras={**ours, **body.extras(spec.max_tokens)},
        api_key=settings.api_key,
        messages=body.messages,
    )


def text_read(request: LongRequest, attempt: RunningAttempt, spec: JobSpec) -> str:
    """The text of a request as the server reads it, without its chat template."""
    if spec.task.kind is Kind.REQUEST:
        return text(attempt, spec)
    return replace(spec.manner, system=request.system).with_system(request.message)


def text(attempt: RunningAttempt, spec: JobSpec) -> str:
    """The whole prompt text, to be estimated if it was not counted."""
    document = attempt.document()
    if spec.task.kind is Kind.REQUEST:
        return Body.from_bytes(document).text
    return spec.manner.with_system(tasks.message(document.decode(), spec.task))


def _check_fit(
    attempt: RunningAttempt,
    facts: ServerFacts,
    message: str,
    spec: JobSpec,
    settings: JobSettings,
    *,
    is_one: bool,
) -> None:
    """The last check before the request, against window, pool and page. Counts exactly if submit
    did not and the limit may be close. Raises `DoesNotFit`, `WorkCancelled`."""
    size, key = spec.counted or estimate.estimate(message), settings.api_key
    # What llama.cpp's requests may weigh together is no limit of one of them.
    pool = None if facts.dialect == llamacpp.NAME else facts.pool or attempt.pool_tokens()
    limits = fit.Limits(facts.window, pool, facts.page)
    if limits.pool is None or not fit.judge(size.high, spec.max_tokens, limits, exact=False).fits:
        # The remembered facts may be of a server that has been restarted since.
        now = call_in_thread(attempt, lambda: queries.survey(facts, key, SURVEY_SECONDS))
        limits = fit.Limits(now.window, now.pool or limits.pool, now.page)
    if fit.judge(size.high, spec.max_tokens, limits, exact=False).fits:
        return
    exact = size.likely if size.low == size.high else None
    if exact is None:
        exact = call_in_thread(attempt, lambda: queries.count(facts, key, message))
    prompt = size.low if exact is None else exact
    is_exact = exact is not None and is_one
    fit.judge(prompt, spec.max_tokens, limits, exact=is_exact).require()
