"""The progress of a prefill, and its remaining time, from what its server reports. Pure.

Times are seconds of any steady clock. Unknown values are None, never a guess: a server that serves
other requests too reports one sum for all, and the progress is then marked as an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ktclient.planning import prefill_time
from ktclient.planning.own_requests import OwnWork
from ktclient.planning.prefill_time import Countdown, PrefillModel, Sample
from ktclient.records import phases
from ktclient.servers.gauges import Reading

STREAM = "stream"
"""The server reports each request's own progress: llama.cpp."""
HISTORY = "history"
"""This prefill cannot be observed; only earlier ones are known."""
_LEAST_LOOKS = 3
"""Minimum of samples for a speed on a server without an earlier prefill."""
_BEYOND = 512
"""The count of tokens in use may exceed the prompt's by this many: pages are counted whole (256
tokens, DeepSeek V4's), and the answer's first tokens may be counted before their text arrives."""
_RATE_LOOKS = 6
"""Tokens per second are measured over this many of the last samples."""


@dataclass(frozen=True)
class History:
    """Earlier prefills of this server and model, as returned by `prefill_time.progress`, and the
    seconds per token before each began."""

    prefills: tuple[tuple[Sample, ...], ...] = ()
    lag: float = 0.0
    belief: PrefillModel | None = None
    """The model fitted to them; None if there are none."""


@dataclass(frozen=True)
class Prompt:
    """The prompt's tokens; `likely` equals `most` if they were counted exactly. `cached`: those
    that the server probably has in its cache."""

    likely: int
    most: int
    cached: int = 0


@dataclass(frozen=True)
class Progress:
    """The current progress: `done` of `total` tokens are prefilled; `eta` seconds until the first
    token; `shared`: why this is only an estimate, as text."""

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
    past: History = field(default_factory=History)
    ahead: OwnWork = field(default_factory=OwnWork)
    """What the server reads first of ktjob's own requests."""
    chunk: int | None = None
    """Tokens that the server prefills at a time; None if unknown."""
    looks: list[Sample] = field(default_factory=list)
    """The samples of this prefill, from its start."""
    shared: str | None = None
    serves_others: bool = False
    """Whether the server was busy for other clients when this was sent."""
    _sent_at: float | None = None
    _source: str | None = None
    _baseline: Reading | None = None
    _last: Reading | None = None
    _done: int = 0
    _total: int | None = None
    _tokens_ahead: int = 0
    _is_begun: bool = False
    _cached: int = 0
    _polled_at: float = float("-inf")
    _ended: tuple[float, float] | None = None
    """When a chunk ended, and how long the server had computed then."""
    _is_queued: bool = False
    _countdown: Countdown = field(default_factory=Countdown)
    _reason: object = None
    _belief: tuple[int, PrefillModel] | None = None

    def sent(self, now: float) -> None:
        """The whole request has been sent."""
        self._sent_at = now
        if self._baseline is None and self.ahead.running().requests:
            self.shared = self.ahead.reason()  # the server has not denied it

    def told(self, done: int, total: int, now: float) -> None:
        """The server has reported how much of this prompt it has prefilled."""
        self._source, self._total = STREAM, total
        self._move(done, now)

    def read(self, reading: Reading, now: float) -> None:
        """The server was polled."""
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
        """Store the counter's value from before this prompt."""
        self._baseline = reading
        moved = before is not None and reading.tokens != before.tokens
        if reading.is_busy is False and not moved:
            self.ahead = self.ahead.running()  # the server computes for no one who has gone
        is_late = self._sent_at is not None
        if self.ahead.requests:
            self.shared = self.ahead.reason()
            self._tokens_ahead = self.ahead.tokens
        elif is_late:  # it may be busy with this request only
            self.shared = "the server first answered after the request was sent"
        elif reading.is_busy or moved:
            self.serves_others = True
            self.shared = "the server was serving other requests when this was sent"

    def _restart(self, reading: Reading) -> None:
        """The counter fell: the server restarted, or tokens of other requests were freed."""
        if not self.ahead.requests:  # else it was theirs, and the reason is known
            self.shared = "the server's token count fell: it restarted, or serves other requests"
        self._baseline = Reading(reading.source, reading.tokens - self._done, reading.waiting)
        self._tokens_ahead = 0
        self._forget()

    def _follow(self, reading: Reading, now: float) -> None:
        assert self._baseline is not None
        # Beside other requests the queue is more reliable than the counter: the waiting one may be
        # this. A request that was alone when it was sent is first in line, and none overtakes it.
        self._is_queued = self.shared is not None and reading.waiting > 0
        if self._is_queued:
            self._baseline, self._done, self._tokens_ahead = reading, 0, 0
            self._forget()
            return
        self._see_cached(reading)
        done = max(0, reading.tokens - self._baseline.tokens - self._tokens_ahead) + self._cached
        if done > self.prompt.most + _BEYOND and not self.ahead.requests:
            self.shared = "the server prefilled more than this prompt: it serves other requests too"
        self._move(done, self._ended_at(reading, done, now))

    def _see_cached(self, reading: Reading) -> None:
        """What a server that was idle holds for this prompt beyond what it has computed, and the
        chunk that it computes, came from its prefix cache."""
        before = self._baseline
        is_known = self.shared is None and before is not None and before.held == 0
        if before is None or not is_known or not reading.held:
            return
        self._is_begun = True
        if self.chunk is None:
            return
        beyond = reading.held - (reading.tokens - before.tokens) - self.chunk
        if beyond > self._cached:
            self._cached = beyond
            self._forget()  # the step to here shows no speed

    def _ended_at(self, reading: Reading, done: int, now: float) -> float:
        """When the last chunk in a reading ended: where the server says how long it computes, as
        long after the end before as that, but after the poll before this one."""
        polled, self._polled_at = self._polled_at, now
        busy, begun = reading.busy_seconds, self._baseline and self._baseline.busy_seconds
        if busy is None or busy == begun or self.shared is not None or done <= self._done:
            return now
        before, self._ended = self._ended, (now, busy)
        if before is not None:
            at = min(now, max(polled, before[0] + busy - before[1]))
            self._ended = (at, busy)
        return self._ended[0]

    def _move(self, done: int, now: float) -> None:
        self._done = done
        self.looks.append(Sample(done, now - (self._sent_at if self._sent_at is not None else now)))

    def _forget(self) -> None:
        self.looks.clear()
        self._ended = self._belief = None

    def predicted(self) -> prefill_time.Estimate | None:
        """From sending to the first token on an idle server; None if unknown."""
        belief = self.past.belief
        return belief.first_token(self.prompt.likely, self.prompt.cached) if belief else None

    def expected(self) -> prefill_time.Estimate | None:
        """From sending to the first token, with what is ahead; None if unknown."""
        own, ahead = self.predicted(), self.ahead.seconds
        if own is None or ahead is None:
            return None
        return prefill_time.Estimate(own.seconds + ahead, own.low + ahead, own.high + ahead)

    def now(self, now: float) -> Progress:
        """The progress to show."""
        moves = self._done > 0
        is_read = (moves or self._is_begun) and not self._is_queued
        total = self._total or self.prompt.likely
        knows_share = moves and not self._is_queued and self._done <= total + _BEYOND
        remaining = self._remaining(total, now)
        reason = (self.shared, moves, self._total)
        if remaining is not None:
            changed = self._reason is not None and reason != self._reason
            remaining = self._countdown.show(remaining, now, has_reason=changed)
            self._reason = reason
        return Progress(
            phase=phases.PREFILL if is_read else phases.WAITING,
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
        """Seconds until the first token; None if unknown, or if it is overdue."""
        if self._sent_at is None or self._done > total + _BEYOND:
            return None
        waits_for_others = self.shared is not None and not self.ahead.requests
        if self._is_queued and waits_for_others:
            return None
        seen = prefill_time.progress(self.looks)
        if not seen or self._is_queued:
            expected = None if waits_for_others else self.expected()
            since = now - self._sent_at
            if self.looks and self._done and expected and self.past.belief:
                # The first sample is far along: the server had the prefix in its cache.
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
        """Computed once for each new sample: it takes tens of milliseconds."""
        count = len(self.looks)
        if self._belief is None or self._belief[0] != count:
            self._belief = (
                count,
                prefill_time.fit_model(seen, self.past.prefills, lag=self.past.lag),
            )
        return self._belief[1]

    def _rate(self) -> float | None:
        """From one chunk end to another: the time between the last sample before an end and the
        first one after it depends on our polling, not on the server."""
        ends = prefill_time.chunk_ends(self.looks)[-_RATE_LOOKS:]
        if len(ends) < 2 or self._is_queued:
            return None
        return (ends[-1].tokens - ends[0].tokens) / (ends[-1].seconds - ends[0].seconds)
