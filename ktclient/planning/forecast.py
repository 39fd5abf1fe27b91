"""Predict a request before it is sent: its tokens, whether it fits, how long it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from jobs import durations
from jobs.errors import StoreUnusable
from jobs.store.store import Store
from ktclient.config.settings import Settings
from ktclient.documents import turn_marks
from ktclient.documents.turn_marks import TurnMarks
from ktclient.planning import (
    calibration,
    fit,
    prefill_time,
    queue_ahead,
    read_prompts,
    thinking,
    token_count,
)
from ktclient.planning.queue_ahead import QueueAhead
from ktclient.planning.read_prompts import Cached, ReadPrompt
from ktclient.planning.thinking import Thinking, Words
from ktclient.planning.token_count import Count
from ktclient.servers import listening
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.selection import Target
from ktclient.splitting.split_plan import Plan
from ktclient.tokens import bundled, estimate
from ktclient.wording import spoken
from server_bundle.embedded import server as embedded
from server_bundle.embedded import weights

COUNTED_FROM = 20_000
"""Tokens. Shorter prompts are only estimated, unless the limit is close: a count can cost a
second."""
PATIENCE_SECONDS = 2.0
LONG_PATIENCE_SECONDS = 15.0
"""How long a server may take to report its facts. sglang-kt answers at the end of a chunk: 7 to 13
s in the guide's deployment, up to 26 s seen. Worth waiting for if the request itself takes
minutes."""
_HOPELESS = 2
"""A prompt of at least this many windows is refused without an exact count."""
_CLOSE = 2
"""A prompt that may fill more than 1/_CLOSE of the window is counted."""
BY_EXPERIENCE = "estimated from earlier runs on this server"
BY_THE_GUIDE = "estimated from the deployment guide's figures"


@dataclass(frozen=True)
class Forecast:
    """`expected`: seconds to the first token, on an idle server; None if unknown.
    `deadline`: seconds after which the request is aborted."""

    target: Target
    count: Count
    verdict: fit.Verdict
    expected: prefill_time.Estimate | None
    by: str
    deadline: float
    ahead: QueueAhead = field(default_factory=QueueAhead)
    split: Plan | None = None
    """The split plan, if any: `expected` then covers all parts, `deadline` applies to each."""
    is_lasting: bool = False
    """The deadline is a default: it is extended while the request makes progress."""
    harmless: Mapping[str, int] = field(default_factory=dict)
    """Turn marks that are made harmless in the request, and how often each occurs."""
    words: Words | None = None
    """Of a DeepSeek V4 that thinks: what its template puts before the text."""
    cached: Cached | None = None
    """What of the prompt the server probably has in its cache; `expected` is without it."""

    @property
    def can_run(self) -> bool:
        """In one piece or in parts."""
        return self.verdict.fits or self.split is not None

    @property
    def doubt(self) -> str | None:
        """Why the deadline is too short, and one that is long enough; None if it is fine."""
        if self.split is not None or self.expected is None or self.deadline >= self.expected.high:
            return None
        return (
            f"the time limit of {durations.exact(self.deadline)} s is less than the "
            f"{spoken(self.expected.high)} that prefill may take; use --timeout "
            f"{prefill_time.timeout(self.expected):.0f}"
        )

    @property
    def time(self) -> str:
        """Time to first token, as text for people."""
        if self.expected is None:
            return self.by
        low, high = spoken(self.expected.low), spoken(self.expected.high)
        between = f" ({low} to {high})" if low != high else ""
        about = f"about {spoken(self.expected.seconds)} of prefill{between}, {self.by}"
        return about if self.cached is None else f"{about}; {self.cached}"

    @property
    def time_in_line(self) -> str:
        """The same, after what the server reads first of ktjob's own requests. It names jobs."""
        first = self.ahead.first
        return f"{first.until()}, then {self.time}" if first.requests else self.time

    def to_dict(self) -> dict[str, object]:
        """For --json: tokens and seconds; null is unknown."""
        facts = self.target.facts
        return {
            "server": self.target.server,
            "facts": None if facts is None else asdict(facts),
            "tokens": self.count.tokens,
            "exact": self.count.exact,
            "by": self.count.by,
            "verdict": self.verdict.kind.value,
            "reason": self.verdict.reason,
            "cure": self.verdict.cure,
            "numbers": self.verdict.numbers,
            "first_token_seconds": None if self.expected is None else asdict(self.expected),
            "time_by": self.by,
            "timeout": self.deadline,
            "warning": self.doubt,
            "ahead": asdict(self.ahead),
            "split": None if self.split is None else self.split.to_dict(),
            "turn_marks": dict(self.harmless),
            "thinking": None if self.words is None else self.words.to_dict(),
            "cached": None if self.cached is None else asdict(self.cached),
        }


def of_several(found: Sequence[Forecast]) -> Forecast:
    """One for all: the longest request decides whether they fit, the slowest first token is theirs
    (the server has a document in its cache from the second question on)."""
    longest = max(found, key=lambda one: one.count.high)
    slowest = max(found, key=lambda one: one.expected.seconds if one.expected else 0.0)
    return replace(longest, expected=slowest.expected, cached=slowest.cached)


Learned = tuple[prefill_time.PrefillModel | None, str]
"""How long a server's prefills take (None: unknown), and where the figure comes from."""


@dataclass(frozen=True)
class Around:
    """What a request has besides the text that is counted."""

    is_one: bool = True
    """Whether it is one user's message, without a system prompt; else the count is exact except for
    the template around it."""
    thinking: Thinking = field(default_factory=Thinking)
    """Whether the request thinks, and how hard."""
    surplus: int = 0
    """Tokens added in every case."""
    sample_below: int | None = None
    """Tokens of prompt and answer below which the count of a sample is enough; None: never."""
    begins: str = ""
    """A name of what the server reads before the text (`beginning`)."""
    earlier: ReadPrompt | None = None
    """A prompt that the server will have read when this one has its turn."""
    foresees: bool = True
    """Whether earlier prompts of this server are looked at: for what is cached, and for the size of
    an estimate."""
    learned: Learned | None = None
    """What `model_of` said a moment ago, for a program that does not read what is ahead either."""


def forecast(
    message: str,
    max_tokens: int,
    timeout: float | None,
    target: Target,
    settings: Settings,
    on_progress: weights.Progress,
) -> Forecast:
    """Query the server and forecast this message. Raises what `look` raises."""
    target = resolve_target(message, max_tokens, target, settings, on_progress)
    return from_target(message, max_tokens, timeout, target, settings)


def resolve_target(
    message: str,
    max_tokens: int,
    target: Target,
    settings: Settings,
    on_progress: weights.Progress,
    patience: float = LONG_PATIENCE_SECONDS,
) -> Target:
    """The target with its server's own facts, waiting up to `patience` seconds for a long
    message. Raises what starting an embedded server raises: it is started only if its tokenizer is
    needed to decide whether the message fits."""
    from ktclient.servers import survey

    rough = estimate.estimate(message)
    target = _up_if_close(rough, max_tokens, target, settings, on_progress)
    if target.facts is None:
        return target
    is_long = rough.likely > COUNTED_FROM
    patience = patience if is_long else min(patience, PATIENCE_SECONDS)
    known = survey.survey(target.server, target.facts, settings, patience)
    return replace(target, facts=known)


def from_target(
    message: str,
    max_tokens: int,
    timeout: float | None,
    target: Target,
    settings: Settings,
    around: Around = Around(),
) -> Forecast:
    """The forecast for a message to a server already queried."""
    count, verdict = assess(message, max_tokens, target, settings, around)
    belief, by = around.learned or model_of(target, settings)
    cached: Cached | None = None
    if around.foresees:
        # Whether it fits was judged before: what an earlier prompt shows is no reason to refuse.
        count, cached = _predicted(message, count, target, settings, around)
        again = verdict_of(count, max_tokens, limits(target))
        if verdict.kind is again.kind is fit.Kind.FITS:
            verdict = again  # with the same number as the count
    expected = whole = None
    if belief is not None:
        whole = belief.first_token(count.tokens)
        expected = whole if cached is None else belief.first_token(count.tokens, cached.tokens)
    usual = prefill_time.LEAST_TIMEOUT_SECONDS if whole is None else prefill_time.timeout(whole)
    deadline = usual if timeout is None else timeout
    before = QueueAhead()
    if around.learned is None:
        before = queue_ahead.read(target.server, target.facts, settings)
    is_lasting = timeout is None
    words = thinking.words(around.thinking, target.facts, settings)
    return Forecast(
        *(target, count, verdict, expected, by, deadline, before),
        is_lasting=is_lasting,
        words=words,
        cached=cached,
    )


def assess(
    message: str,
    max_tokens: int,
    target: Target,
    settings: Settings,
    around: Around,
) -> tuple[Count, fit.Verdict]:
    """Only the count and whether it fits, as in `say`: for very many messages to one server."""
    count = _sampled(message, max_tokens, target, settings, around) or _count(
        message, estimate.estimate(message), max_tokens, target, settings
    )
    if count.exact and not around.is_one:
        count = replace(count, exact=False, by=f"{count.by}, including the system prompt")
    count = thinking.counted(count, around.thinking, target.facts, settings)
    count = replace(count, tokens=count.tokens + around.surplus)
    return count, verdict_of(count, max_tokens, limits(target))


def marks_of(target: Target, settings: Settings) -> TurnMarks:
    """The turn marks of the target's model. Asks its server, if that is not remembered."""
    if target.facts is None:
        return turn_marks.of_model(embedded.MODEL)
    from ktclient.servers import turn_marks as servers_turn_marks

    return servers_turn_marks.of_server(target.server, target.facts, settings)


def limits(target: Target) -> fit.Limits:
    """The limits of its server, in tokens."""
    facts = target.facts
    if facts is None:
        return fit.Limits(target.window)
    return fit.Limits(target.window, facts.pool, facts.page)


def _is_close(rough: estimate.Estimate, max_tokens: int, target: Target) -> bool:
    """Whether only an exact count can decide if it fits."""
    known = limits(target)
    least = min((size for size in (known.window, known.pool) if size), default=None)
    if least is None or rough.low > least * _HOPELESS:
        return False
    return (rough.high + max_tokens) * _CLOSE > least


def _up_if_close(
    rough: estimate.Estimate,
    max_tokens: int,
    target: Target,
    settings: Settings,
    on_progress: weights.Progress,
) -> Target:
    from ktclient.servers import probe

    most = embedded.WINDOW - 1 - max_tokens
    if target.facts is not None or rough.high <= most or rough.low > embedded.WINDOW * _HOPELESS:
        return target
    running = embedded.ensure_up(settings.state.make_root().server, settings.cache, on_progress)
    return replace(target, facts=probe.probe(running.url, None))


def _count(
    message: str, rough: estimate.Estimate, max_tokens: int, target: Target, settings: Settings
) -> Count:
    limit = target.window
    is_hopeless = limit is not None and rough.low > limit * _HOPELESS
    is_close = _is_close(rough, max_tokens, target)
    is_needed = rough.likely > COUNTED_FROM or is_close
    if is_hopeless or target.facts is None or not is_needed:
        return token_count.rough(message)
    return token_count.best(message, target.facts, settings, may_ask=is_close)


def _sampled(
    message: str, max_tokens: int, target: Target, settings: Settings, around: Around
) -> Count | None:
    """The count of a sample; None if it is not enough."""
    if around.sample_below is None or target.facts is None:
        return None
    found = token_count.sampled(message, target.facts, settings)
    if found is None:
        return None
    high = found.high + around.surplus + token_count.THINKING_WORDS
    is_far = high + max_tokens < around.sample_below
    fits = fit.judge(high, max_tokens, limits(target), exact=False).fits
    return found if is_far and fits else None


def verdict_of(count: Count, max_tokens: int, limits: fit.Limits) -> fit.Verdict:
    """An inexact count is refused only if its low end does not fit."""
    verdict = fit.judge(count.tokens + count.may_add, max_tokens, limits, exact=count.exact)
    if verdict.fits or not fit.judge(count.low, max_tokens, limits, exact=False).fits:
        return verdict
    doubt = f"It may not fit; the count is not exact. If it does not: {verdict.cure}"
    return replace(verdict, kind=fit.Kind.ALONE, cure=doubt)


def model_of(target: Target, settings: Settings) -> Learned:
    """How long the server's prefills take, and where the figure comes from. The guide's figures are
    for one model; for others, no figure is better than a wrong one."""
    facts = target.facts
    learned = _learned(target, embedded.MODEL if facts is None else facts.model, settings)
    if learned is not None:
        return learned, BY_EXPERIENCE
    is_v4 = facts is not None and bundled.is_deepseek_v4(facts.model)
    if is_v4 and facts is not None and facts.dialect == "sglang" and not _is_upstream(facts):
        return prefill_time.fit_model([]), BY_THE_GUIDE
    return None, "unknown: no earlier run on this server"


def _predicted(
    message: str, count: Count, target: Target, settings: Settings, around: Around
) -> tuple[Count, Cached | None]:
    """What earlier prompts on this server show of this one."""
    facts = target.facts
    reads = reads_of(target, settings)
    if around.earlier is not None:
        reads = [around.earlier, *reads]
    return read_prompts.predict(reads, message, around.begins, count, facts)


def reads_of(target: Target, settings: Settings) -> list[ReadPrompt]:
    """The prompts that this server has read, the newest first; from the store, as `_learned`."""
    model = embedded.MODEL if target.facts is None else target.facts.model
    run = None if target.facts is None else listening.run_of(target.facts.url)
    try:
        store = Store.open_if_any(settings.state)
        if store is None:
            return []
        with store:
            return read_prompts.recall(store, target.server, model, run)
    except StoreUnusable:
        return []


def _is_upstream(facts: ServerFacts) -> bool:
    """Whether it surely is not the guide's fork: with all experts on GPUs it is far faster."""
    return facts.engine is not None and facts.engine.startswith("sglang ")


def _learned(target: Target, model: str, settings: Settings) -> prefill_time.PrefillModel | None:
    """From the store, if it exists: a forecast creates nothing, and works without it."""
    try:
        store = Store.open_if_any(settings.state)
        if store is None:
            return None
        with store:
            return calibration.model(store, target.server, model)
    except StoreUnusable:
        return None
