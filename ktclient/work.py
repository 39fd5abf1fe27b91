"""Perform one job in a worker: server, count, request, and every step into the store."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

from jobs.layout import StateDir
from jobs.performing import Performing
from ktclient import (
    aftermath,
    calibration,
    client,
    composing,
    conducting,
    config,
    lent_keys,
    servers_known,
    sifting,
    structured,
    surveying,
    tasks,
    tokens,
    warm,
)
from ktclient.attending import attend
from ktclient.calibration import Measured
from ktclient.client import StreamEvent
from ktclient.errors import (
    AbortedByServer,
    DeadlineExceeded,
    DoesNotFit,
    KtjobError,
    LinkLost,
    ProxyGaveUp,
    ServerRefused,
    StreamCut,
    WorkCancelled,
)
from ktclient.one_poller import OnePoller
from ktclient.progress import Past, Prefill, Prompt
from ktclient.pulse import Pulse
from ktclient.reporting import Reporter
from ktclient.servers import calls, own_log, probe
from ktclient.servers.dialect import ServerFacts
from ktclient.snapshot import WAITING_FOR_SERVER
from ktclient.spec import JobSpec
from ktclient.telling import tell as tell
from ktclient.turns import turns
from ktclient.watching import Watcher
from server_bundle import embedded

TEMPLATE_TOKENS = 32
"""Tokens by which a chat template may be shorter than the one that was counted (SmolLM2's has
31)."""


def prepare() -> None:
    """Called once in the runner, before it forks workers."""
    warm.warm()


def tidy(state: StateDir) -> None:
    """Called in the runner when no work is left."""
    lent_keys.sweep(state)


def perform(performing: Performing) -> None:
    """Perform one job. Raises a `KtjobError` if there is no complete answer, `WorkCancelled` if a
    cancel was requested."""
    kind = conducting.kind_of(performing.spec)
    if kind is not None:
        conducting.of(kind)(performing)
        return
    spec = JobSpec.from_json(performing.spec)
    settings = config.load(lent=lent_keys.of(performing.state, spec.server))
    left_behind = aftermath.LeftBehind(performing)
    structured.prepare(spec.task.schema)
    for turn in turns(performing, spec):
        with turn:
            _ask_somehow(performing, spec, settings, left_behind)


def _ask_somehow(
    performing: Performing,
    spec: JobSpec,
    settings: config.Settings,
    left_behind: aftermath.LeftBehind,
) -> None:
    """Send the request with the answer's schema, if there is one; without it if the server has
    rejected the schema before it computed anything."""
    has_schema = tasks.response_format(spec.task) is not None
    try:
        _ask(performing, spec, settings, left_behind, with_schema=has_schema)
    except (ServerRefused, AbortedByServer) as error:
        # sglang's scheduler refuses a schema when it has no grammar backend (grammar_manager.py);
        # sglang-kt then drops the message and reports an abort after a prompt of one token.
        was_read = isinstance(error, AbortedByServer) and error.was_read
        if not has_schema or was_read:
            raise
        performing.note("asked again without a schema", reason=str(error))
        _ask(performing, spec, settings, left_behind, with_schema=False)


def _ask(
    performing: Performing,
    spec: JobSpec,
    settings: config.Settings,
    left_behind: aftermath.LeftBehind,
    *,
    with_schema: bool,
) -> None:
    facts, key = _server(performing, spec, settings), settings.key_for(spec.server)
    request = composing.request(performing, facts, spec, settings)
    if with_schema:
        request.extras["response_format"] = tasks.response_format(spec.task)
    expected = spec.counted or tokens.estimate(composing.text(performing, spec))
    prefill = Prefill(Prompt(expected.likely, expected.high), _past(performing, spec, facts))
    most = aftermath.ghost_seconds(expected.likely, prefill.past.belief)
    left_behind.end(performing, facts, key, most)
    if (predicted := prefill.predicted()) is not None:
        performing.figure(predicted_seconds=round(predicted.seconds, 1))
    gauges = own_log.gauges(facts, key, performing.state.servers)
    watcher = Watcher(gauges, OnePoller(performing.state, facts.url))
    reporter = Reporter(performing, _least(expected), prefill, watcher)
    pulse = Pulse(functools.partial(calls.answers, facts, key))
    gets_on = reporter.gets_on if spec.is_lasting else lambda: False
    events = client.stream(request, spec.timeout, pulse, gets_on)
    del request  # megabytes, for the long wait
    with contextlib.closing(events), contextlib.closing(watcher):
        watcher.start()
        try:
            answer: list[str] = []
            _converse(performing, reporter, sifting.overheard(sifting.in_earnest(events), answer))
            _hold_to_schema(performing, spec.task.schema, answer)
            _learn(performing, spec, facts, prefill, reporter)
            return
        except DoesNotFit as error:
            servers_known.refute(performing, spec.server, facts.model, str(error))
            raise
        except LinkLost:
            aftermath.abort_unheard(performing, facts, key)
            raise
        except StreamCut as error:
            seconds = reporter.seconds_since_sent()
            aftermath.abort_unheard(performing, facts, key)
            raise aftermath.explain_cut(performing, facts, key, error, seconds) from error
        except (WorkCancelled, DeadlineExceeded, ProxyGaveUp) as error:
            if reporter.sent_at is None:
                raise  # the request was not sent
            asked = aftermath.abort(facts, key, performing.rid)
            performing.note("abort", asked=asked, dialect=facts.dialect)
            ended: KtjobError = error
    # The connection is closed at this point.
    left = aftermath.after_cancel(facts, key, _ghost(expected.likely, prefill, reporter))
    raise type(ended)(f"{ended}. {left}" if left else str(ended))


def _server(performing: Performing, spec: JobSpec, settings: config.Settings) -> ServerFacts:
    """Find the server; start the embedded one if the job names it."""
    if spec.server != config.EMBEDDED:
        if performing.phase != WAITING_FOR_SERVER:  # else keep the phase until the server accepts
            performing.enter("connecting")
        url, key = spec.server, settings.key_for(spec.server)
    else:
        performing.enter("preparing")
        running = embedded.ensure_up(performing.state.server, settings.cache, _telling(performing))
        url, key = running.url, None
    facts = attend(performing, lambda: probe.probe(url, key, spec.model))
    facts = surveying.for_worker(performing, spec.server, facts, key)
    performing.figure(server=facts.url, model=facts.model, dialect=facts.dialect)
    if performing.phase == WAITING_FOR_SERVER:  # it is available again
        performing.figure(last_refusal=None)
    return facts


def _telling(performing: Performing) -> embedded.Progress:
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


def _least(size: tokens.Estimate) -> int:
    """The least number of prompt tokens that a server reports if it has read the whole prompt: its
    chat template may differ from the one that was counted."""
    return max(0, min(size.low, size.likely - size.likely // 100 - TEMPLATE_TOKENS))


def _converse(performing: Performing, reporter: Reporter, events: Iterator[StreamEvent]) -> None:
    """Follow the stream to its end, and report each event."""
    performing.enter("sending")
    for event in events:
        reporter.report(event)
        if not performing.beat():
            raise WorkCancelled("cancelled on request; the text so far is kept")


def _hold_to_schema(performing: Performing, schema: str, answer: list[str]) -> None:
    """Record how a complete answer violates its schema; the answer is kept anyway."""
    wrong = structured.mismatch("".join(answer), schema) if schema else None
    if wrong is not None:
        performing.note("not by the schema", reason=wrong)
        performing.figure(schema_mismatch=wrong)


def _past(performing: Performing, spec: JobSpec, facts: ServerFacts) -> Past:
    """Keyed by the server's name, because the embedded one has another port at each start."""
    return calibration.past(performing, spec.server, facts.model)


def _learn(
    performing: Performing,
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
    calibration.learn(performing, spec.server, facts.model, measured)


def _ghost(tokens: int, prefill: Prefill, reporter: Reporter) -> aftermath.Ghost:
    """The rest of a prefill that was aborted."""
    if reporter.first_token_seconds is not None:
        return aftermath.Ghost(0.0)  # it was decoding: an abort ends that immediately
    since = reporter.seconds_since_sent()
    most = aftermath.ghost_seconds(tokens, prefill.past.belief) - since
    known = reporter.progress
    if known is None or known.done is None or known.total is None or known.is_estimate:
        return aftermath.Ghost(most)
    return aftermath.Ghost(most, known.total - known.done)
