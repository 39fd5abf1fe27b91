"""What a worker does for one job: server, count, request, and every step into the store."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import tenacity

from jobs.performing import Performing
from ktclient import aftermath, calibration, client, config, fit, tasks, tokens, warm
from ktclient.attending import attend, rest
from ktclient.calibration import Measured
from ktclient.client import LongRequest, StreamEvent
from ktclient.errors import (
    NEVER_ACCEPTED,
    DeadlineExceeded,
    KtjobError,
    ProxyGaveUp,
    RateLimited,
    StreamCut,
    WorkCancelled,
)
from ktclient.progress import Past, Prefill, Prompt
from ktclient.pulse import Pulse
from ktclient.reporting import Reporter
from ktclient.servers import calls, own_log, probe
from ktclient.servers.dialect import ServerFacts
from ktclient.spec import JobSpec
from ktclient.watching import Watcher
from server_bundle import embedded

PATIENCE_SECONDS = 600.0
"""How long a job waits for a server that accepts nothing: the guide's takes 80 s to start,
KTransformers' own tutorial says 4 to 5 minutes."""
LONGEST_PAUSE_SECONDS = 15.0


def prepare() -> None:
    """Called once in the runner, before it forks workers."""
    warm.warm()


def perform(performing: Performing) -> None:
    """Perform one job. Raises a `KtjobError` when there is no whole answer, `WorkCancelled` when
    a cancel was wished for."""
    spec = JobSpec.from_json(performing.spec)
    settings = config.load()
    for turn in _turns(performing, min(PATIENCE_SECONDS, spec.timeout)):
        with turn:
            _ask(performing, spec, settings)


def _turns(performing: Performing, patience: float) -> tenacity.Retrying:
    """Ask again, for a while, what no server has accepted yet: it is starting, or full. Whatever
    was accepted is never asked again here."""
    doubling = tenacity.wait_exponential(min=1, max=LONGEST_PAUSE_SECONDS)

    def pause(state: tenacity.RetryCallState) -> float:
        """As the server says, where it does; but not beyond our patience."""
        error = state.outcome.exception() if state.outcome else None
        told = error.retry_after if isinstance(error, RateLimited) else None
        return max(doubling(state), min(told or 0.0, patience))

    def say_why(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        performing.enter("waiting for the server")
        performing.note("not accepted", reason=str(error))

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(NEVER_ACCEPTED),
        wait=pause,
        stop=tenacity.stop_after_delay(patience),
        sleep=lambda seconds: rest(performing, seconds),
        before_sleep=say_why,
        reraise=True,
    )


def _ask(performing: Performing, spec: JobSpec, settings: config.Settings) -> None:
    facts, key = _server(performing, spec, settings), settings.api_key
    request = _request(performing, facts, spec, settings)
    expected = tokens.estimate(request.message)
    prefill = Prefill(Prompt(expected.likely, expected.high), _past(performing, spec, facts))
    if performing.earlier:
        most = aftermath.ghost_seconds(expected.likely, prefill.past.belief)
        aftermath.wait_for_silence(performing, facts, key, most)
    if (predicted := prefill.predicted()) is not None:
        performing.figure(predicted_seconds=round(predicted.seconds, 1))
    watcher = Watcher(own_log.gauges(facts, key, performing.state.servers))
    reporter = Reporter(performing, expected.low, prefill, watcher)
    pulse = Pulse(functools.partial(calls.answers, facts, key))
    events = client.stream(request, spec.timeout, pulse)
    del request  # megabytes, for the long wait
    with contextlib.closing(events), contextlib.closing(watcher):
        watcher.start()
        try:
            _converse(performing, reporter, events)
            _learn(performing, spec, facts, prefill, reporter)
            return
        except StreamCut as error:
            seconds = reporter.seconds_since_sent()
            raise aftermath.explain_cut(performing, facts, key, error, seconds) from error
        except (WorkCancelled, DeadlineExceeded, ProxyGaveUp) as error:
            if reporter.sent_at is None:
                raise  # nothing was asked
            asked = aftermath.abort(facts, key, performing.rid)
            performing.note("abort", asked=asked, dialect=facts.dialect)
            ended: KtjobError = error
    # Here the connection is closed too.
    left = aftermath.after_cancel(facts, key, _ghost(expected.likely, prefill, reporter))
    raise type(ended)(f"{ended}. {left}" if left else str(ended))


def _request(
    performing: Performing, facts: ServerFacts, spec: JobSpec, settings: config.Settings
) -> LongRequest:
    message = tasks.message(performing.document().decode(), spec.task)
    _check_fit(performing, facts, message, spec, settings)
    return LongRequest(
        url=facts.url,
        model=facts.model,
        message=message,
        max_tokens=spec.max_tokens,
        rid=performing.rid,
        extras=calls.extras(facts, performing.rid),
        api_key=settings.api_key,
    )


def _server(performing: Performing, spec: JobSpec, settings: config.Settings) -> ServerFacts:
    """Find the server, starting the embedded one where that is what the job names."""
    if spec.server != config.EMBEDDED:
        performing.enter("connecting")
        url, key = spec.server, settings.api_key
    else:
        performing.enter("preparing")
        running = embedded.ensure_up(performing.state.server, settings.cache, _telling(performing))
        url, key = running.url, None
    facts = attend(performing, lambda: probe.probe(url, key, spec.model))
    performing.figure(server=facts.url, model=facts.model, dialect=facts.dialect)
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


def _check_fit(
    performing: Performing,
    facts: ServerFacts,
    message: str,
    spec: JobSpec,
    settings: config.Settings,
) -> None:
    """The last look before the request: exact where the server counts and it may be close."""
    estimate = tokens.estimate(message)
    if facts.window is None or estimate.high + spec.max_tokens < facts.window:
        return
    exact = attend(performing, lambda: calls.count(facts, settings.api_key, message))
    prompt = estimate.low if exact is None else exact
    fit.check(prompt, spec.max_tokens, facts.window, exact=exact is not None)


def _converse(performing: Performing, reporter: Reporter, events: Iterator[StreamEvent]) -> None:
    """Follow the stream to its end, reporting each step."""
    performing.enter("sending")
    for event in events:
        reporter.report(event)
        if not performing.beat():
            raise WorkCancelled("cancelled on request; the text until then is kept")


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


def _ghost(tokens: int, prefill: Prefill, reporter: Reporter) -> aftermath.Ghost:
    """What is left of a prefill that was given up."""
    if reporter.first_token_seconds is not None:
        return aftermath.Ghost(0.0)  # it decoded: an abort ends that at once
    since = reporter.seconds_since_sent()
    most = aftermath.ghost_seconds(tokens, prefill.past.belief) - since
    known = reporter.progress
    if known is None or known.done is None or known.total is None or known.is_estimate:
        return aftermath.Ghost(most)
    return aftermath.Ghost(most, known.total - known.done)
