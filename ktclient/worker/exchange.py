"""One request of one attempt, from the first query to the server to the last token."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from jobs.errors import KtjobError, WorkCancelled, WorkerStopped
from jobs.system import no_memory
from jobs.worker import bounded_call
from jobs.worker.attempt import RunningAttempt
from ktclient.answers import thoughts, without_words
from ktclient.answers.thoughts import Divided
from ktclient.errors import (
    AnswerTooLong,
    BadGateway,
    CacheExhausted,
    DeadlineExceeded,
    DoesNotFit,
    EmptyAnswer,
    LinkLost,
    ModelUnknown,
    ProxyGaveUp,
    ServerBusy,
    StreamCut,
    StreamTooLarge,
    UpstreamDown,
)
from ktclient.planning import calibration
from ktclient.planning.calibration import Measured
from ktclient.planning.progress import Prefill
from ktclient.planning.read_prompts import ReadPrompt
from ktclient.prompts import answer_schema
from ktclient.prompts.tasks import Kind
from ktclient.records import phases, thinking
from ktclient.records.thinking import ONLY_THOUGHTS
from ktclient.request import filters, stream
from ktclient.request.events import Completed
from ktclient.request.liveness import LivenessProbe
from ktclient.request.stream import LongRequest, StreamEvent
from ktclient.servers import habits, listening, log_gauges, memory, queries
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.poll_lease import PollLease
from ktclient.servers.watcher import GaugeWatcher
from ktclient.submission.spec import JobSpec
from ktclient.tokens import estimate
from ktclient.wording import quote
from ktclient.worker import abort, compose, ghost_prefill, prediction
from ktclient.worker import server as worker_server
from ktclient.worker.ghost_prefill import Ghost, GhostPrefills
from ktclient.worker.heartbeat import call_in_thread
from ktclient.worker.job_settings import JobSettings
from ktclient.worker.reporter import Reporter
from ktclient.worker.retry import begin_to_send

REFUSED_SECONDS = 15.0
"""A server that is full says so when it has tokenized the prompt, between two chunks of another
one (7 to 13 s in the guide's deployment). A stream that ends later may have been a prefill, however
full the server is."""
TEMPLATE_TOKENS = 32
"""Tokens by which a chat template may be shorter than the one that was counted (SmolLM2's has
31)."""


@dataclass(frozen=True)
class Exchange:
    """One prepared request: its server, and the reporter of its events."""

    attempt: RunningAttempt
    spec: JobSpec
    facts: ServerFacts
    api_key: str | None
    tokens: int
    """Tokens of the prompt, by the best count so far."""
    prefill: Prefill
    watcher: GaugeWatcher
    reporter: Reporter
    ghosts: GhostPrefills
    read: ReadPrompt
    """What is remembered of the prompt."""


def run(
    attempt: RunningAttempt,
    spec: JobSpec,
    settings: JobSettings,
    ghosts: GhostPrefills,
    *,
    without: frozenset[str],
) -> None:
    """Perform one request: prepare it, follow its stream, and handle its end. `without`: the fields
    that the server has refused.

    Raises a `KtjobError` if there is no complete answer, `WorkCancelled` if a cancel was
    requested.
    """
    exchange, request = _prepare(attempt, spec, settings, ghosts, without=without)
    probe = _probe(exchange) if settings.may_probe else None
    is_progressing = exchange.reporter.is_progressing if spec.is_lasting else lambda: False
    events = stream.stream(request, spec.timeout, probe, is_progressing)
    del request  # megabytes, for the long wait
    with contextlib.closing(events), contextlib.closing(exchange.watcher):
        try:
            _converse(exchange, events)
            if probe is not None:
                _learn_answers(exchange, probe)
            return
        except KtjobError as error:
            ended = _end(exchange, error)
    # The connection is closed at this point: only now can the server become idle.
    others = prediction.served(attempt)
    left = abort.wait_and_report(exchange.facts, exchange.api_key, _ghost(exchange), others)
    raise type(ended)(f"{str(ended).rstrip('.')}. {left}" if left else str(ended))


def _prepare(
    attempt: RunningAttempt,
    spec: JobSpec,
    settings: JobSettings,
    ghosts: GhostPrefills,
    *,
    without: frozenset[str],
) -> tuple[Exchange, LongRequest]:
    """Find the server, compose the request, and wait until no earlier attempt computes there."""
    facts, key = worker_server.find(attempt, spec, settings), settings.api_key
    request = compose.request(attempt, facts, spec, settings, without=without)
    expected = spec.counted or estimate.estimate(compose.text(attempt, spec))
    foreseen = prediction.foresee(attempt, spec, facts, request)
    # by the server's name, because the embedded one has another port at each start
    past = calibration.history(attempt, spec.server, facts.model)
    prefill = Prefill(foreseen.prompt, past, chunk=facts.chunk)
    prediction.look(attempt, prefill)
    longest = ghost_prefill.ghost_seconds(expected.likely, prefill.past.belief)
    if ghosts.end(attempt, facts, key, longest + (prefill.ahead.seconds or 0.0)):
        prediction.look_again(attempt, prefill)
    gauges = log_gauges.gauges(facts, key, attempt.state.servers)
    watcher = GaugeWatcher(gauges, PollLease(attempt.state, facts.url))
    reporter = Reporter(attempt, _minimum_prompt(expected), prefill, watcher)
    tokens = expected.likely
    known = (prefill, watcher, reporter, ghosts, foreseen.read)
    return Exchange(attempt, spec, facts, key, tokens, *known), request


def _probe(exchange: Exchange) -> LivenessProbe:
    """Asks whether the server is alive while it is silent."""
    run = listening.run_of(exchange.facts.url)
    whom = exchange.attempt, exchange.spec.server, run, exchange.facts.dialect
    return LivenessProbe(
        functools.partial(queries.is_responding, exchange.facts, exchange.api_key),
        is_known_to_answer=habits.is_known_to_answer(*whom),
    )


def _learn_answers(exchange: Exchange, probe: LivenessProbe) -> None:
    """Remember, for later requests, whether a healthy server answered while it was silent."""
    if (answers := probe.has_answered) is not None:
        run = listening.run_of(exchange.facts.url)
        habits.learn_answers(exchange.attempt, exchange.spec.server, run, answers=answers)


def _converse(exchange: Exchange, events: Iterator[StreamEvent]) -> None:
    """Follow the stream to its end, and learn from it about the server."""
    exchange.watcher.start()
    whole = filters.hide_key(filters.drop_refusal_token(events), exchange.api_key)
    _stream_to_reporter(exchange.attempt, exchange.reporter, whole)
    try:
        _learn(exchange)
        answer = _answer(exchange)
        _check_answer_schema(exchange.attempt, exchange.spec.task.schema, answer)
    except Exception as error:  # the answer is whole, and must not be asked for again
        if not no_memory.is_it(error):
            raise
        words = f"nothing was checked or learned after the answer: {no_memory.words(error)}"
        exchange.attempt.record_metrics(warning=words)


def _end(exchange: Exchange, error: KtjobError) -> KtjobError:
    """Handle the end of a failed request by its error class: the first that fits in `_ENDINGS`.

    Returns the error if the server may still compute for this request; raises it, or a more
    precise error, if nothing is left to do.
    """
    for classes, end in _ENDINGS:
        if isinstance(error, classes):
            return end(exchange, error)
    raise error


def _refused_as_too_long(exchange: Exchange, error: KtjobError) -> NoReturn:
    """The remembered facts of the server allowed the request: they are wrong."""
    memory.invalidate(exchange.attempt, exchange.spec.server, exchange.facts.model, str(error))
    raise error


def _full_cache(exchange: Exchange, error: KtjobError) -> NoReturn:
    """The next attempt runs with no other job beside it, and so do later jobs."""
    run = listening.run_of(exchange.facts.url)
    habits.prove_shared_cache(exchange.attempt, exchange.spec.server, run)
    exchange.attempt.run_pool_one_at_a_time()
    raise error


def _unknown_model(exchange: Exchange, error: KtjobError) -> NoReturn:
    """The server's refusal, and what it offers."""
    names = worker_server.offered(exchange.facts)
    raise ModelUnknown(f"{error}. It offers: {names}" if names else str(error)) from error


def _lost_link(exchange: Exchange, error: KtjobError) -> NoReturn:
    abort.abort_unheard(exchange.attempt, exchange.facts, exchange.api_key)
    raise error


def _cut(exchange: Exchange, error: KtjobError) -> NoReturn:
    """The server may have died, or only the connection broke."""
    assert isinstance(error, StreamCut)
    seconds = exchange.reporter.seconds_since_sent()
    whom = exchange.attempt, exchange.facts, exchange.api_key
    abort.abort_unheard(*whom)
    if seconds < REFUSED_SECONDS and not _is_read(exchange) and _is_full(exchange):
        raise ServerBusy(
            f"the server at {exchange.facts.url} is full: its queue accepts no more requests, and "
            "it ended the stream without a word, as sglang-kt does then; try again later"
        ) from error
    raise abort.classify_cut(*whom, error, seconds) from error


def _is_read(exchange: Exchange) -> bool:
    """Whether anything shows that the server has begun to read the prompt."""
    reporter = exchange.reporter
    return reporter.first_token_seconds is not None or reporter.phase != phases.WAITING


def _is_full(exchange: Exchange) -> bool:
    facts, key = exchange.facts, exchange.api_key
    return call_in_thread(exchange.attempt, lambda: queries.is_full(facts, key))


def _no_server_behind(exchange: Exchange, error: KtjobError) -> NoReturn:
    """A gateway that did not reach the server, or lost it immediately. If the server itself answers
    a query, it is there, and the request may have reached it: that is a broken connection."""
    assert isinstance(error, UpstreamDown)
    attempt, facts, key = exchange.attempt, exchange.facts, exchange.api_key
    if error.is_certain or exchange.reporter.sent_at is None:
        raise error
    was_there = exchange.ghosts.has_seen_server
    if was_there or call_in_thread(attempt, lambda: queries.is_idle(facts, key)) is not None:
        abort.abort_unheard(attempt, facts, key)
        raise BadGateway(
            f"a gateway answers at {facts.url} that it lost the server behind it, which answered a "
            f"query {'right before' if was_there else 'right afterwards'}: it died of the request, "
            f"was restarted, or the connection to it broke. See its log ({error})"
        ) from error
    exchange.ghosts.look_before_sending()
    raise error


def _given_up(exchange: Exchange, error: KtjobError) -> KtjobError:
    """Abort it by name, if possible while the connection is still open."""
    if exchange.reporter.sent_at is None:
        raise error  # nothing was sent
    attempt, facts = exchange.attempt, exchange.facts
    asked = abort.abort(facts, exchange.api_key, attempt.rid)
    attempt.log_event("abort", asked=asked, dialect=facts.dialect)
    return error


_ENDINGS: tuple[
    tuple[tuple[type[KtjobError], ...], Callable[[Exchange, KtjobError], KtjobError]], ...
] = (
    ((DoesNotFit,), _refused_as_too_long),
    ((CacheExhausted,), _full_cache),
    ((ModelUnknown,), _unknown_model),
    ((LinkLost,), _lost_link),
    ((StreamCut,), _cut),
    ((UpstreamDown,), _no_server_behind),
    ((WorkCancelled, DeadlineExceeded, ProxyGaveUp, StreamTooLarge, AnswerTooLong), _given_up),
)


def _minimum_prompt(size: estimate.Estimate) -> int:
    """The least number of prompt tokens that a server reports if it has read the whole prompt: its
    chat template may differ from the one that was counted."""
    return max(0, min(size.low, size.likely - size.likely // 100 - TEMPLATE_TOKENS))


def _stream_to_reporter(
    attempt: RunningAttempt, reporter: Reporter, events: Iterator[StreamEvent]
) -> None:
    """Follow the stream to its end, and report each event. Raises `Paused`: then nothing was
    sent."""
    begin_to_send(attempt)
    for event in events:
        reporter.report(event)
        if not attempt.heartbeat():
            kept = "; the text so far is kept" if attempt.pieces() else ""
            raise WorkCancelled(f"cancelled on request{kept}")


def _answer(exchange: Exchange) -> str:
    """The answer without thoughts. Raises `EmptyAnswer` if there is no word and no call of a tool:
    the thoughts are kept, and the request is not sent again."""
    end, pieces = exchange.reporter.completed, exchange.attempt.pieces()
    assert end is not None
    found = _known_thoughts(exchange, end, thoughts.divide(pieces))
    job, spec = exchange.attempt.job, exchange.spec
    has_thoughts, is_body = bool(found.thoughts.strip()), spec.task.kind is Kind.REQUEST
    calls = "".join(piece.text for piece in pieces if piece.channel == "tool_calls")
    if found.has_words or (calls and is_body):
        return found.answer
    tokens = _only_thoughts(end, spec.max_tokens) if has_thoughts else None
    if tokens is not None:
        exchange.attempt.record_metrics(thought_tokens=tokens)
    ending = without_words.Ending(
        reason=end.finish_reason,
        has_thoughts=has_thoughts,
        tokens=tokens,
        most=spec.max_tokens,
        is_body=is_body,
        is_part=job.parent is not None and not is_body,
        kept=f"ktjob result {job.id} --thoughts",
        calls=quote(calls),
    )
    raise EmptyAnswer(f"{exchange.facts.url} {without_words.words(ending)}")


def _known_thoughts(exchange: Exchange, end: Completed, found: Divided) -> Divided:
    """The same output, but all thought if it was cut off before the closing tag with which this
    model ends its thoughts. Remembers how the model thinks."""
    attempt, model = exchange.attempt, exchange.facts.model
    if found.is_from_prompt or found.thoughts or end.finish_reason != "length":
        thinking.record(attempt, attempt.spec, model, is_from_prompt=found.is_from_prompt)
    elif thinking.is_from_prompt(attempt, attempt.job, model):
        attempt.record_metrics(**{ONLY_THOUGHTS: True})
        return found.as_thoughts()
    return found


def _only_thoughts(end: Completed, most: int) -> int | None:
    """Tokens of an output that is nothing but thoughts: as the server counts them, or all `most`
    if it was cut off there; None if neither is known."""
    counted = end.thought_tokens or end.completion_tokens
    return counted or (most if end.finish_reason == "length" else None)


def _check_answer_schema(attempt: RunningAttempt, schema: str, answer: str) -> None:
    """Record how a complete answer violates its schema; the answer is kept anyway."""
    wrong = _violations(attempt, schema, answer) if schema else ""
    if wrong:
        attempt.log_event("not by the schema", reason=wrong)
        attempt.record_metrics(schema_mismatch=wrong)


def _violations(attempt: RunningAttempt, schema: str, answer: str) -> str:
    """How an answer violates its schema; empty if it follows it. A pattern in a schema may take
    hours on some answers, so the time is limited. The answer is whole, so neither a cancel nor a
    stop changes how the job ends: they only end this check."""

    def beat() -> None:
        try:
            is_wanted = attempt.heartbeat()
        except WorkerStopped as error:
            raise bounded_call.TookTooLong(str(error)) from error
        if not is_wanted:
            raise bounded_call.TookTooLong("the job was cancelled meanwhile")

    try:
        return bounded_call.call(lambda: answer_schema.violations(answer, schema) or "", beat)
    except (bounded_call.TookTooLong, OSError) as error:
        return f"the answer could not be validated against the schema: {error}"


def _learn(exchange: Exchange) -> None:
    """Store how long this prefill took, if it was the server's only work."""
    prefill, reporter = exchange.prefill, exchange.reporter
    end, seconds = reporter.completed, reporter.first_token_seconds
    if end is None or seconds is None or end.prompt_tokens is None:
        return
    prediction.remember(exchange.attempt, exchange.spec, exchange.facts.model, exchange.read, end)
    if prefill.shared:
        return
    measured = Measured(prefill.looks, seconds, end.prompt_tokens, end.cached_tokens or 0)
    calibration.record(exchange.attempt, exchange.spec.server, exchange.facts.model, measured)


def _ghost(exchange: Exchange) -> Ghost:
    """The rest of a prefill that was aborted."""
    reporter = exchange.reporter
    if reporter.first_token_seconds is not None:
        return Ghost(0.0)  # it was decoding: an abort ends that immediately
    longest = ghost_prefill.ghost_seconds(exchange.tokens, exchange.prefill.past.belief)
    left = longest + (exchange.prefill.ahead.seconds or 0.0) - reporter.seconds_since_sent()
    known = reporter.progress
    if known is None or known.done is None or known.total is None or known.is_estimate:
        return Ghost(left)
    return Ghost(left, known.total - known.done)
