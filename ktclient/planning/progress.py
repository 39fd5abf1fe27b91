"""How far a prefill is, and how long it will take: from what its server lets see. Pure.

Times are seconds of any steady clock. What cannot be known is None, never a guess: a server that
serves others too tells one sum for all, and what is shown then is marked as an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ktclient.planning import prefill_time
from ktclient.planning.prefill_time import Countdown, PrefillModel, Sample
from ktclient.servers.gauges import Reading

STREAM = "stream"
"""The server tells each request its own progress: llama.cpp."""
HISTORY = "history"
"""Nothing is seen of this prefill; only earlier ones are known."""
_LEAST_LOOKS = 3
"""Fewer tell no speed, on a server of which no earlier prefill is known."""
_BEYOND = 512
"""A count of tokens in use may pass the prompt's by so many: pages are counted whole (256 tokens,
DeepSeek V4's), and the first of the answer may be there before its text is."""
_RATE_LOOKS = 6
"""Tokens per second are of so many of the last looks."""


@dataclass(frozen=True)
class Past:
    """Earlier prefills of this server and model, as `estimate.progress` gave them, and the
    seconds per token that passed before each began."""

    prefills: tuple[tuple[Sample, ...], ...] = ()
    lag: float = 0.0
    belief: PrefillModel | None = None
    """What they tell; None when there is none."""


@dataclass(frozen=True)
class Prompt:
    """Its tokens; `likely` is `most` when they were counted exactly."""

    likely: int
    most: int


@dataclass(frozen=True)
class Progress:
    """What is known now. `done` of `total` tokens are read; `eta` seconds until the first word;
    `shared`: why this is an estimate only, in words."""

    phase: str
    done: int | None
    total: int | None
    tokens_per_second: float | None
    eta: float | None
    source: str | None
    shared: str | None

    @property
    def is_estimate(self) -> bool:
        return self.shared is not None


@dataclass
class Prefill:
    """Follows one prefill from before it is sent until its first token."""

    prompt: Prompt
    past: Past = field(default_factory=Past)
    looks: list[Sample] = field(default_factory=list)
    """At this prefill, from its start."""
    shared: str | None = None
    _sent_at: float | None = None
    _source: str | None = None
    _baseline: Reading | None = None
    _last: Reading | None = None
    _done: int = 0
    _total: int | None = None
    _is_queued: bool = False
    _countdown: Countdown = field(default_factory=Countdown)
    _reason: object = None
    _belief: tuple[int, PrefillModel] | None = None

    def sent(self, now: float) -> None:
        """The whole request has gone out."""
        self._sent_at = now

    def told(self, done: int, total: int, now: float) -> None:
        """The server itself says how much of this prompt it has read."""
        self._source, self._total = STREAM, total
        self._move(done, now)

    def read(self, reading: Reading, now: float) -> None:
        """The server was looked at."""
        if self._source == STREAM:
            return
        self._source = reading.source
        before, self._last = self._last, reading
        if self._sent_at is None or self._baseline is None:
            self._begin(before, reading)
        elif reading.tokens < (before or reading).tokens:
            self._restart(reading)
        else:
            self._follow(reading, now)

    def _begin(self, before: Reading | None, reading: Reading) -> None:
        """Where the counter stands before it counts this prompt."""
        self._baseline = reading
        moved = before is not None and reading.tokens != before.tokens
        if self._sent_at is not None:
            self.shared = "the server first answered after the request was sent"
        if reading.is_busy or moved:
            self.shared = "the server was serving others when this was sent"

    def _restart(self, reading: Reading) -> None:
        """The counter fell: the server restarted, or tokens of others were freed."""
        self.shared = "the server's token count fell: it restarted, or serves others"
        self._baseline = Reading(reading.source, reading.tokens - self._done, reading.waiting)
        self._forget()

    def _follow(self, reading: Reading, now: float) -> None:
        assert self._baseline is not None
        # Beside others the queue tells more than the counter: who waits may be this request. Who
        # was alone when it was sent is first in line, and nobody overtakes it.
        self._is_queued = self.shared is not None and reading.waiting > 0
        if self._is_queued:
            self._baseline, self._done = reading, 0
            self._forget()
            return
        done = reading.tokens - self._baseline.tokens
        if done > self.prompt.most + _BEYOND:
            self.shared = "the server read more than this prompt: it serves others too"
        self._move(done, now)

    def _move(self, done: int, now: float) -> None:
        self._done = done
        self.looks.append(Sample(done, now - (self._sent_at if self._sent_at is not None else now)))

    def _forget(self) -> None:
        self.looks.clear()
        self._belief = None

    def predicted(self) -> prefill_time.Estimate | None:
        """From sending to the first token on an idle server; None when nothing is known of it."""
        belief = self.past.belief
        return belief.first_token(self.prompt.likely) if belief else None

    def now(self, now: float) -> Progress:
        """What to show."""
        moves = self._done > 0
        total = self._total or self.prompt.likely
        knows_share = moves and not self._is_queued and self._done <= total + _BEYOND
        remaining = self._remaining(total, now)
        reason = (self.shared, moves, self._total)
        if remaining is not None:
            changed = self._reason is not None and reason != self._reason
            remaining = self._countdown.show(remaining, now, has_reason=changed)
            self._reason = reason
        return Progress(
            phase="prefill" if moves and not self._is_queued else "waiting",
            done=self._shown(total, knows_share),
            total=total if knows_share else None,
            tokens_per_second=self._rate(),
            eta=remaining,
            source=self._source if moves else HISTORY if remaining is not None else self._source,
            shared=self.shared,
        )

    def _shown(self, total: int, knows_share: bool) -> int | None:
        if self._done == 0 or self._is_queued:
            return None
        return min(self._done, total) if knows_share else self._done

    def _remaining(self, total: int, now: float) -> float | None:
        """Seconds until the first word; None when nobody knows, or when it is overdue."""
        if self._sent_at is None or self._is_queued or self._done > total + _BEYOND:
            return None
        seen = prefill_time.progress(self.looks)
        if not seen:
            waits_for_others = self.shared is not None
            expected = None if waits_for_others else self.predicted()
            since = now - self._sent_at
            if self.looks and self._done and expected and self.past.belief:
                # At once far along: the server had the beginning in its cache.
                expected = self.past.belief.estimate(self._done, total)
                since = now - self._sent_at - self.looks[-1].seconds
        elif self.past.belief is None and len(seen) < _LEAST_LOOKS:
            return None
        else:
            last = seen[-1]
            expected = self._believed(seen).estimate(last.tokens, total)
            since = now - self._sent_at - last.seconds
        if expected is None or (since > expected.high and since > 1.0):
            return None
        return max(0.0, expected.seconds - since)

    def _believed(self, seen: Sequence[Sample]) -> PrefillModel:
        """Computed once for each new look: it costs tens of milliseconds."""
        count = len(self.looks)
        if self._belief is None or self._belief[0] != count:
            self._belief = (
                count,
                prefill_time.fit_model(seen, self.past.prefills, lag=self.past.lag),
            )
        return self._belief[1]

    def _rate(self) -> float | None:
        """From one end of a chunk to another, as seen: what lies between the last look before an
        end and the first one after it is our own pace, not the server's."""
        ends = prefill_time.chunk_ends(self.looks)[-_RATE_LOOKS:]
        if len(ends) < 2 or self._is_queued:
            return None
        return (ends[-1].tokens - ends[0].tokens) / (ends[-1].seconds - ends[0].seconds)
