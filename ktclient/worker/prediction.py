"""When the first token of a request may come, with what the server reads first of ktjob's own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobs import clock
from jobs.model import Attempt
from jobs.worker.attempt import RunningAttempt
from ktclient import wording
from ktclient.answers import thoughts
from ktclient.planning import own_requests, read_prompts
from ktclient.planning.own_requests import AHEAD_SECONDS, OwnRequest, OwnWork
from ktclient.planning.progress import HISTORY, Prefill, Prompt
from ktclient.planning.read_prompts import ReadPrompt
from ktclient.planning.token_count import Count
from ktclient.prompts.tasks import Kind
from ktclient.records import phases
from ktclient.records.snapshot import PREDICTED_AS, PREDICTED_CACHED
from ktclient.request.body import BETWEEN, Body
from ktclient.request.events import Completed
from ktclient.request.stream import LongRequest
from ktclient.servers import listening
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.submission import prefix
from ktclient.submission.spec import JobSpec
from ktclient.tokens import estimate
from ktclient.wording import spoken
from ktclient.worker import compose


@dataclass(frozen=True)
class Foreseen:
    """`prompt`: its size, and what of it the server probably has in its cache; `read`: what is
    remembered of it once it was answered."""

    prompt: Prompt
    read: ReadPrompt


def foresee(
    attempt: RunningAttempt, spec: JobSpec, facts: ServerFacts, request: LongRequest
) -> Foreseen:
    """What earlier prompts on this server show of this one."""
    text, run = compose.text_read(request, attempt, spec), listening.run_of(facts.url)
    begins = spec.prefix
    if spec.task.kind is Kind.REQUEST:
        begins = prefix.of_fields(Body.from_bytes(attempt.document()))
    size = spec.counted or estimate.estimate(text)
    count = Count(size.likely, size.low == size.high, "", is_rough=spec.counted is None)
    reads = read_prompts.recall(attempt, spec.server, facts.model, run)
    known, cached = read_prompts.predict(reads, text, begins, count, facts)
    _, foreseen = read_prompts.foresee(reads, text, begins, count, facts)
    read = read_prompts.take(attempt.job_id, text, begins, run)
    if cached is not None:
        attempt.record_metrics(
            predicted_cached_tokens=cached.tokens, **{PREDICTED_CACHED: round(cached.share, 4)}
        )
    prompt = Prompt(known.tokens, max(known.tokens, size.high), cached.tokens if cached else 0)
    return Foreseen(prompt, replace(read, foreseen=foreseen.tokens if foreseen else 0))


def remember(
    attempt: RunningAttempt, spec: JobSpec, model: str, read: ReadPrompt, end: Completed
) -> None:
    """Keep a prompt that was answered for the predictions of later ones."""
    if end.prompt_tokens:
        tokens, answer = end.prompt_tokens, end.completion_tokens or 0
        known = replace(read, tokens=tokens, answer=answer, cached=end.cached_tokens)
        if spec.task.kind is Kind.REQUEST:
            known = _continued(attempt, known, end)
        read_prompts.record(attempt, spec.server, model, attempt.job.seq, known)


def _continued(attempt: RunningAttempt, read: ReadPrompt, end: Completed) -> ReadPrompt:
    """With its answer, if the next request of this chat will repeat all that the model wrote: not
    its thoughts, behind which nothing is cached."""
    found = thoughts.divide(attempt.pieces())
    if found.thoughts or end.thought_tokens or not found.answer or not end.completion_tokens:
        return read
    body = Body.from_bytes(attempt.document())
    answer = f"{BETWEEN}{found.answer}"
    return read_prompts.continued(read, body.text, answer, prefix.of_fields(body))


def look(attempt: RunningAttempt, prefill: Prefill) -> None:
    """Find out what is ahead of this attempt's request, requests of its earlier attempts included,
    and record when its first token may come."""
    recent = _recent(attempt)
    known = {one.rid for one in recent}
    repeated = [one for one in attempt.repeated if one.rid not in known]
    prefill.ahead = own_requests.in_prefill([*repeated, *recent], clock.now())
    _record(attempt, prefill)


def look_again(attempt: RunningAttempt, prefill: Prefill) -> None:
    """After the wait for the requests of earlier attempts: they are not ahead any more."""
    mine = {one.rid for one in (*attempt.earlier, *attempt.repeated)}
    recent = [one for one in _recent(attempt) if one.rid not in mine]
    _replace(attempt, prefill, own_requests.in_prefill(recent, clock.now()))


def sent(attempt: RunningAttempt, prefill: Prefill, before: OwnWork) -> None:
    """The request has been sent, and the server has perhaps been asked. `before`: what was thought
    to be ahead."""
    if prefill.ahead != before:
        _replace(attempt, prefill, prefill.ahead)
    own = prefill.predicted()
    if prefill.serves_others and not prefill.ahead.requests and own is not None:
        words = f"{spoken(own.seconds)} after the server has read what it was reading for others"
        attempt.record_metrics(**{PREDICTED_AS: words})


def _replace(attempt: RunningAttempt, prefill: Prefill, ahead: OwnWork) -> None:
    if prefill.ahead.requests:
        names = (PREDICTED_AS, AHEAD_SECONDS, "eta_seconds")
        attempt.record_metrics(**dict.fromkeys(names))
    prefill.ahead = ahead
    _record(attempt, prefill)


def served(attempt: RunningAttempt) -> str:
    """For whom the server may compute besides this attempt: other jobs that run there, and other
    clients, which only the server knows."""
    running = (one for one in attempt.others_in_pool(clock.now()) if one.ended_at is None)
    ids = [one.job_id for one in running if one.phase not in phases.BEFORE_SENDING]
    if not ids:
        return "other clients"
    first = OwnRequest(max(ids)).name
    more = f" and {wording.count(len(ids) - 1, 'more job')}" if ids[1:] else ""
    return f"{first}{more}, or other clients"


def _recent(attempt: RunningAttempt) -> list[Attempt]:
    return attempt.others_in_pool(clock.ago(own_requests.LONGEST_SECONDS))


def _record(attempt: RunningAttempt, prefill: Prefill) -> None:
    own, expected, ahead = prefill.predicted(), prefill.expected(), prefill.ahead
    figures: dict[str, object] = {}
    if expected is not None:
        figures["predicted_seconds"] = round(expected.seconds, 1)
        if ahead.requests:  # else its own line says so as soon as it is sent
            seconds, source = round(expected.seconds, 1), HISTORY
            figures |= {"eta_seconds": seconds, "eta_at": clock.now(), "progress_source": source}
    if ahead.requests:
        then = "" if own is None else f", then {spoken(own.seconds)}"
        figures[PREDICTED_AS] = ahead.until() + then
        if ahead.seconds is not None:
            figures[AHEAD_SECONDS] = round(ahead.seconds, 1)
    if figures:
        attempt.record_metrics(**figures)
