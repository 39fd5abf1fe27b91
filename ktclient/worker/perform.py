"""What a worker does for one job: server, count, request, and every step into the store."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

from jobs.errors import KtjobError, WorkCancelled
from jobs.store.state_dir import StateDir
from jobs.worker.attempt import Performing
from ktclient.config import settings as config
from ktclient.errors import (
    AbortedByServer,
    DeadlineExceeded,
    DoesNotFit,
    LinkLost,
    ProxyGaveUp,
    ServerRefused,
    StreamCut,
)
from ktclient.planning import calibration
from ktclient.planning.calibration import Measured
from ktclient.planning.progress import Past, Prefill, Prompt
from ktclient.prompts import answer_schema, tasks
from ktclient.records import kinds
from ktclient.records.snapshot import WAITING_FOR_SERVER
from ktclient.request import filters, stream
from ktclient.request.liveness import Pulse
from ktclient.request.stream import StreamEvent
from ktclient.servers import log_gauges, memory, probe, queries, survey
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.poll_lease import OnePoller
from ktclient.servers.watcher import Watcher
from ktclient.submission import lent_keys
from ktclient.submission.spec import JobSpec
from ktclient.tokens import estimate
from ktclient.worker import abort, compose, preload
from ktclient.worker.heartbeat import attend
from ktclient.worker.reporter import Reporter
from ktclient.worker.retry import turns
from server_bundle.embedded import server as embedded
from server_bundle.embedded import weights

TEMPLATE_TOKENS = 32
"""A chat template may be so much shorter than the one that was counted (SmolLM2's has 31)."""


def prepare() -> None:
    """Called once in the runner, before it forks workers."""
    preload.warm()


def tidy(state: StateDir) -> None:
    """Called in the runner when nothing is left to be done."""
    lent_keys.sweep(state)


def perform(performing: Performing) -> None:
    """Perform one job. Raises a `KtjobError` when there is no whole answer, `WorkCancelled` when
    a cancel was wished for."""
    kind = kinds.kind_of(performing.spec)
    if kind is not None:
        kinds.of(kind)(performing)
        return
    spec = JobSpec.from_json(performing.spec)
    settings = config.load(lent=lent_keys.of(performing.state, spec.server))
    left_behind = abort.LeftBehind(performing)
    answer_schema.prepare(spec.task.schema)
    for turn in turns(performing, spec):
        with turn:
            _ask_somehow(performing, spec, settings, left_behind)


def _ask_somehow(
    performing: Performing,
    spec: JobSpec,
    settings: config.Settings,
    left_behind: abort.LeftBehind,
) -> None:
    """With a schema for the answer, where there is one; without it where the server has refused
    that, before it read anything."""
    has_schema = tasks.response_format(spec.task) is not None
    try:
        _ask(performing, spec, settings, left_behind, with_schema=has_schema)
    except (ServerRefused, AbortedByServer) as error:
        # sglang's scheduler refuses a schema when it has no grammar backend (grammar_manager.py);
        # sglang-kt then drops the words and tells of an abort after a prompt of one token.
        was_read = isinstance(error, AbortedByServer) and error.was_read
        if not has_schema or was_read:
            raise
        performing.note("asked again without a schema", reason=str(error))
        _ask(performing, spec, settings, left_behind, with_schema=False)


def _ask(
    performing: Performing,
    spec: JobSpec,
    settings: config.Settings,
    left_behind: abort.LeftBehind,
    *,
    with_schema: bool,
) -> None:
    facts, key = _server(performing, spec, settings), settings.key_for(spec.server)
    request = compose.request(performing, facts, spec, settings)
    if with_schema:
        request.extras["response_format"] = tasks.response_format(spec.task)
    expected = spec.counted or estimate.estimate(compose.text(performing, spec))
    prefill = Prefill(Prompt(expected.likely, expected.high), _past(performing, spec, facts))
    most = abort.ghost_seconds(expected.likely, prefill.past.belief)
    left_behind.end(performing, facts, key, most)
    if (predicted := prefill.predicted()) is not None:
        performing.figure(predicted_seconds=round(predicted.seconds, 1))
    gauges = log_gauges.gauges(facts, key, performing.state.servers)
    watcher = Watcher(gauges, OnePoller(performing.state, facts.url))
    reporter = Reporter(performing, _least(expected), prefill, watcher)
    pulse = Pulse(functools.partial(queries.answers, facts, key))
    gets_on = reporter.gets_on if spec.is_lasting else lambda: False
    events = stream.stream(request, spec.timeout, pulse, gets_on)
    del request  # megabytes, for the long wait
    with contextlib.closing(events), contextlib.closing(watcher):
        watcher.start()
        try:
            answer: list[str] = []
            _converse(performing, reporter, filters.overheard(filters.in_earnest(events), answer))
            _hold_to_schema(performing, spec.task.schema, answer)
            _learn(performing, spec, facts, prefill, reporter)
            return
        except DoesNotFit as error:
            memory.refute(performing, spec.server, facts.model, str(error))
            raise
        except LinkLost:
            abort.abort_unheard(performing, facts, key)
            raise
        except StreamCut as error:
            seconds = reporter.seconds_since_sent()
            abort.abort_unheard(performing, facts, key)
            raise abort.explain_cut(performing, facts, key, error, seconds) from error
        except (WorkCancelled, DeadlineExceeded, ProxyGaveUp) as error:
            if reporter.sent_at is None:
                raise  # nothing was asked
            asked = abort.abort(facts, key, performing.rid)
            performing.note("abort", asked=asked, dialect=facts.dialect)
            ended: KtjobError = error
    # Here the connection is closed too.
    left = abort.after_cancel(facts, key, _ghost(expected.likely, prefill, reporter))
    raise type(ended)(f"{ended}. {left}" if left else str(ended))


def _server(performing: Performing, spec: JobSpec, settings: config.Settings) -> ServerFacts:
    """Find the server, starting the embedded one where that is what the job names."""
    if spec.server != config.EMBEDDED:
        if performing.phase != WAITING_FOR_SERVER:  # else nothing is new until it accepts
            performing.enter("connecting")
        url, key = spec.server, settings.key_for(spec.server)
    else:
        performing.enter("preparing")
        running = embedded.ensure_up(performing.state.server, settings.cache, _telling(performing))
        url, key = running.url, None
    facts = attend(performing, lambda: probe.probe(url, key, spec.model))
    facts = survey.for_worker(performing, spec.server, facts, key)
    performing.figure(server=facts.url, model=facts.model, dialect=facts.dialect)
    if performing.phase == WAITING_FOR_SERVER:  # it is there again
        performing.figure(last_refusal=None)
    return facts


def _telling(performing: Performing) -> weights.Progress:
    now = ""

    def tell(what: str, done: int, total: int) -> None:
        nonlocal now
        if what != now:
            now = what
            performing.enter(what)
        if total > 1:
            performing.progress(done, total, "bytes")
        if not performing.beat():
            raise WorkCancelled("cancelled while the server was being prepared")

    return tell


def _least(size: estimate.Estimate) -> int:
    """What a server that has read the whole prompt says at the very least: its chat template may
    be another one than was counted."""
    return max(0, min(size.low, size.likely - size.likely // 100 - TEMPLATE_TOKENS))


def _converse(performing: Performing, reporter: Reporter, events: Iterator[StreamEvent]) -> None:
    """Follow the stream to its end, reporting each step."""
    performing.enter("sending")
    for event in events:
        reporter.report(event)
        if not performing.beat():
            raise WorkCancelled("cancelled on request; the text until then is kept")


def _hold_to_schema(performing: Performing, schema: str, answer: list[str]) -> None:
    """Say in what a whole answer does not follow its schema; it is kept all the same."""
    wrong = answer_schema.mismatch("".join(answer), schema) if schema else None
    if wrong is not None:
        performing.note("not by the schema", reason=wrong)
        performing.figure(schema_mismatch=wrong)


def _past(performing: Performing, spec: JobSpec, facts: ServerFacts) -> Past:
    """By the name of the server, as the embedded one has another port at each start."""
    return calibration.past(performing, spec.server, facts.model)


def _learn(
    performing: Performing,
    spec: JobSpec,
    facts: ServerFacts,
    prefill: Prefill,
    reporter: Reporter,
) -> None:
    """Keep how long this prefill took, when it was the server's only work."""
    end, seconds = reporter.completed, reporter.first_token_seconds
    if end is None or seconds is None or end.prompt_tokens is None or prefill.shared:
        return
    measured = Measured(prefill.looks, seconds, end.prompt_tokens, end.cached_tokens or 0)
    calibration.learn(performing, spec.server, facts.model, measured)


def _ghost(tokens: int, prefill: Prefill, reporter: Reporter) -> abort.Ghost:
    """What is left of a prefill that was given up."""
    if reporter.first_token_seconds is not None:
        return abort.Ghost(0.0)  # it decoded: an abort ends that at once
    since = reporter.seconds_since_sent()
    most = abort.ghost_seconds(tokens, prefill.past.belief) - since
    known = reporter.progress
    if known is None or known.done is None or known.total is None or known.is_estimate:
        return abort.Ghost(most)
    return abort.Ghost(most, known.total - known.done)
