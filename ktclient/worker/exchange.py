"""One request of one attempt, from the first look at the server to the last word."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

from jobs.errors import KtjobError, WorkCancelled
from jobs.worker.attempt import RunningAttempt
from ktclient.config import settings as config
from ktclient.errors import DeadlineExceeded, DoesNotFit, LinkLost, ProxyGaveUp, StreamCut
from ktclient.planning import calibration
from ktclient.planning.calibration import Measured
from ktclient.planning.progress import Past, Prefill, Prompt
from ktclient.prompts import answer_schema, tasks
from ktclient.request import filters, stream
from ktclient.request.liveness import LivenessProbe
from ktclient.request.stream import StreamEvent
from ktclient.servers import log_gauges, memory, queries
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.poll_lease import PollLease
from ktclient.servers.watcher import GaugeWatcher
from ktclient.submission.spec import JobSpec
from ktclient.tokens import estimate
from ktclient.worker import abort, compose, ghost_prefill
from ktclient.worker import server as worker_server
from ktclient.worker.reporter import Reporter

TEMPLATE_TOKENS = 32
"""Tokens by which a chat template may be shorter than the one that was counted (SmolLM2's has
31)."""


def run(
    performing: RunningAttempt,
    spec: JobSpec,
    settings: config.Settings,
    left_behind: ghost_prefill.GhostPrefills,
    *,
    with_schema: bool,
) -> None:
    facts, key = worker_server.find(performing, spec, settings), settings.key_for(spec.server)
    request = compose.request(performing, facts, spec, settings)
    if with_schema:
        request.extras["response_format"] = tasks.response_format(spec.task)
    expected = spec.counted or estimate.estimate(compose.text(performing, spec))
    prefill = Prefill(Prompt(expected.likely, expected.high), _history(performing, spec, facts))
    most = ghost_prefill.ghost_seconds(expected.likely, prefill.past.belief)
    left_behind.end(performing, facts, key, most)
    if (predicted := prefill.predicted()) is not None:
        performing.figure(predicted_seconds=round(predicted.seconds, 1))
    gauges = log_gauges.gauges(facts, key, performing.state.servers)
    watcher = GaugeWatcher(gauges, PollLease(performing.state, facts.url))
    reporter = Reporter(performing, _minimum_prompt(expected), prefill, watcher)
    pulse = LivenessProbe(functools.partial(queries.is_responding, facts, key))
    gets_on = reporter.gets_on if spec.is_lasting else lambda: False
    events = stream.stream(request, spec.timeout, pulse, gets_on)
    del request  # megabytes, for the long wait
    with contextlib.closing(events), contextlib.closing(watcher):
        watcher.start()
        try:
            answer: list[str] = []
            _stream_to_reporter(
                performing,
                reporter,
                filters.collect_answer(filters.drop_refusal_token(events), answer),
            )
            _check_answer_schema(performing, spec.task.schema, answer)
            _learn(performing, spec, facts, prefill, reporter)
            return
        except DoesNotFit as error:
            memory.invalidate(performing, spec.server, facts.model, str(error))
            raise
        except LinkLost:
            abort.abort_unheard(performing, facts, key)
            raise
        except StreamCut as error:
            seconds = reporter.seconds_since_sent()
            abort.abort_unheard(performing, facts, key)
            raise abort.classify_cut(performing, facts, key, error, seconds) from error
        except (WorkCancelled, DeadlineExceeded, ProxyGaveUp) as error:
            if reporter.sent_at is None:
                raise  # nothing was asked
            asked = abort.abort(facts, key, performing.rid)
            performing.note("abort", asked=asked, dialect=facts.dialect)
            ended: KtjobError = error
    # Here the connection is closed too.
    left = abort.wait_and_report(facts, key, _ghost(expected.likely, prefill, reporter))
    raise type(ended)(f"{ended}. {left}" if left else str(ended))


def _minimum_prompt(size: estimate.Estimate) -> int:
    """The least number of prompt tokens that a server reports if it has read the whole prompt: its
    chat template may differ from the one that was counted."""
    return max(0, min(size.low, size.likely - size.likely // 100 - TEMPLATE_TOKENS))


def _stream_to_reporter(
    performing: RunningAttempt, reporter: Reporter, events: Iterator[StreamEvent]
) -> None:
    """Follow the stream to its end, and report each event."""
    performing.enter("sending")
    for event in events:
        reporter.report(event)
        if not performing.beat():
            raise WorkCancelled("cancelled on request; the text so far is kept")


def _check_answer_schema(performing: RunningAttempt, schema: str, answer: list[str]) -> None:
    """Record how a complete answer violates its schema; the answer is kept anyway."""
    wrong = answer_schema.violations("".join(answer), schema) if schema else None
    if wrong is not None:
        performing.note("not by the schema", reason=wrong)
        performing.figure(schema_mismatch=wrong)


def _history(performing: RunningAttempt, spec: JobSpec, facts: ServerFacts) -> Past:
    """Keyed by the server's name, because the embedded one has another port at each start."""
    return calibration.history(performing, spec.server, facts.model)


def _learn(
    performing: RunningAttempt,
    spec: JobSpec,
    facts: ServerFacts,
    prefill: Prefill,
    reporter: Reporter,
) -> None:
    """Store how long this prefill took, if it was the server's only work."""
    end, seconds = reporter.completed, reporter.first_token_seconds
    if end is None or seconds is None or end.prompt_tokens is None or prefill.shared:
        return
    measured = Measured(prefill.looks, seconds, end.prompt_tokens, end.cached_tokens or 0)
    calibration.record(performing, spec.server, facts.model, measured)


def _ghost(tokens: int, prefill: Prefill, reporter: Reporter) -> ghost_prefill.Ghost:
    """The rest of a prefill that was aborted."""
    if reporter.first_token_seconds is not None:
        return ghost_prefill.Ghost(0.0)  # it was decoding: an abort ends that immediately
    since = reporter.seconds_since_sent()
    most = ghost_prefill.ghost_seconds(tokens, prefill.past.belief) - since
    known = reporter.progress
    if known is None or known.done is None or known.total is None or known.is_estimate:
        return ghost_prefill.Ghost(most)
    return ghost_prefill.Ghost(most, known.total - known.done)
