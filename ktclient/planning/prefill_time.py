"""How long a prefill takes: predicted before it starts, corrected while it runs. Pure.

The time for one token grows linearly with its position, because attention reads all tokens before
it: seconds(n) = base * (1 + growth * n). Observations decide as far as they can, and the prior
fills in the rest: three noisy points never determine two parameters, and after a fifth of a
prefill mostly the base is known.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_TIMEOUT_SECONDS = 3600.0
"""The deployment guide's figure."""
TIMEOUT_FACTOR = 2.0
"""A deadline should end failed requests, not slow ones."""

_PAST_WEIGHT = 0.5
"""The weight of a sample of an earlier prefill relative to one of this."""
_CHUNK_NOISE = 0.06
"""Relative noise of the time of a single chunk."""
_MOST_LOOKS = 48
_LEAST_GAP_SECONDS = 0.001
"""No sample is more exact than this."""
_MOST_JUMP = 1.2
_LEAST_JUMP_SECONDS = 1.0
"""A fifth of 0 is 0: a remaining time shown as 0 could never grow again."""
_BASE_SPREAD = math.log(100)
"""Standard deviation of ln(base) around the guide's: an H100 was 230 times as fast."""
_GROWTH_SPREAD = math.log(1.4)
"""Likewise of ln(growth), but with heavy tails: the same H100's was 15 times the guide's."""
_FEW_LOOKS = 4
_DOUBT = 4.0
"""The prior on the size of the errors counts like this many samples."""
_GRID = [step / 8 for step in range(-36, 37)]
"""ln(growth / prior growth): from a ninetieth to ninety times."""


@dataclass(frozen=True)
class Curve:
    """`base`: seconds for the first token; `growth`: its relative increase with each token."""

    base: float
    growth: float

    def seconds(self, start: int, end: int) -> float:
        """To prefill the tokens from position `start` to `end`."""
        return self.base * _effort(self.growth, start, end)


GUIDE = Curve(1 / 590, (590 / 320 - 1) / 600_000)
"""DeepSeek V4 Flash on 4 RTX 5090: 590 tokens/s at the start, 320 at 600K (deployment guide)."""


@dataclass(frozen=True)
class Sample:
    """One sample of a prefill: `tokens` were computed `seconds` after the request was sent."""

    tokens: int
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """Seconds. A 90 % interval from `low` to `high`, if the curve is right."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True)
class PrefillModel:
    """A model of a server's prefill: curves with their weights (their sum is 1), and the relative
    error of each curve's base. `lag`: seconds per token of the whole prompt before the prefill
    starts (the server tokenizes)."""

    curves: tuple[tuple[float, Curve], ...]
    error: float
    lag: float = 0.0

    def estimate(self, start: int, end: int) -> Estimate:
        """To prefill the tokens from `start` to `end`."""
        times = [(weight, curve.seconds(start, end)) for weight, curve in self.curves]
        mean = sum(weight * time for weight, time in times)
        variance = sum(weight * (time - mean) ** 2 for weight, time in times)
        spread = 1.645 * math.hypot(math.sqrt(variance), self.error * mean)
        return Estimate(mean, mean / (1 + spread / mean) if mean else 0.0, mean + spread)

    def first_token(self, tokens: int, cached: int = 0) -> Estimate:
        """From sending a prompt to an idle server until its first token."""
        prefill, lag = self.estimate(cached, tokens), self.lag * tokens
        return Estimate(prefill.seconds + lag, prefill.low + lag, prefill.high + lag)


def progress(looks: Sequence[Sample]) -> list[Sample]:
    """The samples that show the speed: those with more tokens than the one before, thinned to what
    is worth storing. The time until the first of them covers more than the prefill, so it counts
    only while there are few others."""
    seen = chunk_ends(looks)
    if seen and len(seen) < _FEW_LOOKS:
        return [looks[looks.index(seen[0]) - 1], *seen]
    step = max(1, math.ceil(len(seen) / _MOST_LOOKS))
    return seen[::-1][::step][::-1]


def chunk_ends(looks: Sequence[Sample]) -> list[Sample]:
    """The samples with more tokens than the one before."""
    return [
        later
        for earlier, later in itertools.pairwise(looks)
        if later.tokens > earlier.tokens and later.seconds > earlier.seconds
    ]


def fit_model(
    now: Sequence[Sample],
    past: Sequence[Sequence[Sample]] = (),
    prior: Curve = GUIDE,
    lag: float = 0.0,
) -> PrefillModel:
    """Fit a model of a server's prefill: `now` are the samples of this prefill so far, `past` those
    of earlier ones, each as returned by `progress`."""
    prefills = [(now, 1.0), *((looks, _PAST_WEIGHT) for looks in past)]
    errors = [_errors(looks) for looks, _ in prefills]
    fits = [_fit(prefills, errors, prior, prior.growth * math.exp(step)) for step in _GRID]
    least = min(fit.penalty for fit in fits)
    weights = [math.exp((least - fit.penalty) / 2) for fit in fits]
    whole = sum(weights)
    curves = tuple(
        (weight / whole, fit.curve)
        for weight, fit in zip(weights, fits, strict=True)
        if weight > whole * 1e-6
    )
    error = sum(weight * fit.error for weight, fit in zip(weights, fits, strict=True)) / whole
    return PrefillModel(curves, error, lag)


def lag_of(first_token: float, total: int, belief: PrefillModel) -> float:
    """Seconds per token before the prefill started, once the time of the whole prefill is known."""
    return max(0.0, first_token - belief.estimate(0, total).seconds) / max(1, total)


def timeout(estimate: Estimate) -> float:
    """The default timeout of a request, in seconds."""
    return max(LEAST_TIMEOUT_SECONDS, TIMEOUT_FACTOR * estimate.high)


class Countdown:
    """The remaining time as shown: it follows the estimate, but without a reason that can be shown
    it moves by at most a fifth between two samples."""

    def __init__(self) -> None:
        self._shown: float | None = None
        self._at = 0.0

    def show(self, remaining: float, now: float, *, has_reason: bool = False) -> float:
        """Seconds to show at the time `now` (monotonic) for an estimate of `remaining` seconds.
        `has_reason`: the reason for the new estimate is shown beside it."""
        if self._shown is not None and not has_reason:
            expected = max(0.0, self._shown - (now - self._at))
            most = max(expected * _MOST_JUMP, expected + _LEAST_JUMP_SECONDS)
            remaining = min(max(remaining, expected / _MOST_JUMP), most)
        self._shown, self._at = remaining, now
        return remaining


def _effort(growth: float, start: int, end: int) -> float:
    """The integral of 1 + growth * n from start to end."""
    return (end - start) * (1 + growth * (start + end) / 2)


@dataclass(frozen=True)
class _Fit:
    """The best curve of one growth: how badly it fits, and the relative error of its base."""

    penalty: float
    curve: Curve
    error: float


@dataclass(frozen=True)
class _Errors:
    """The assumed errors of one prefill's samples: `jitter` of each in seconds, and the variance by
    which the prefill itself drifts from its curve per second."""

    jitter: float
    wander: float


def _errors(looks: Sequence[Sample]) -> _Errors:
    """A sample sees a change up to one interval late; chunks are at most as long as that interval,
    or as the time between two changes."""
    gaps = [b.seconds - a.seconds for a, b in itertools.pairwise(looks)]
    gap = max(_LEAST_GAP_SECONDS, _median(gaps)) if gaps else 1.0
    return _Errors(gap / 3, _CHUNK_NOISE**2 * gap)


def _fit(
    prefills: Sequence[tuple[Sequence[Sample], float]],
    errors: Sequence[_Errors],
    prior: Curve,
    growth: float,
) -> _Fit:
    """Generalised least squares of the times on the efforts, by iteration with Huber's weights."""
    rows = [
        (effort, seconds, weight)
        for (looks, weight), error in zip(prefills, errors, strict=True)
        for effort, seconds in _whitened(looks, error, growth)
    ]
    strays = math.log(growth / prior.growth) / _GROWTH_SPREAD
    off = 2 * math.log(1 + strays**2)  # heavy tails: near the prior, or anywhere if the data say so
    if not rows:
        return _Fit(off, Curve(prior.base, growth), _BASE_SPREAD)
    base, residue, known = prior.base, 0.0, 0.0
    factors = [weight for _, _, weight in rows]
    for _ in range(4):
        known = sum(f * x * x for f, (x, _, _) in zip(factors, rows, strict=True))
        base = sum(f * x * t for f, (x, t, _) in zip(factors, rows, strict=True)) / known
        misses = [abs(t - base * x) for x, t, _ in rows]
        residue = sum(f * miss * miss for f, miss in zip(factors, misses, strict=True))
        bound = 1.345 * max(1.0, 1.4826 * _median(misses))  # Huber's constant; MAD to sigma
        factors = [
            weight * min(1.0, bound / max(miss, 1e-9))
            for (_, _, weight), miss in zip(rows, misses, strict=True)
        ]
    count = sum(weight for _, _, weight in rows)
    base = max(base, 1e-9)
    error = math.sqrt((_DOUBT + residue) / (_DOUBT + count) / known) / base
    pull = (math.log(base / prior.base) / _BASE_SPREAD) ** 2
    penalty = (_DOUBT + count) * math.log(_DOUBT + residue) + off + pull
    return _Fit(penalty, Curve(base, growth), error)


def _whitened(looks: Sequence[Sample], errors: _Errors, growth: float) -> list[tuple[float, float]]:
    """Efforts and times with independent errors of size 1: the innovations of a Kalman filter for a
    random walk (the prefill drifts) observed with noise (the samples are late). The first sample is
    the start, so nothing depends on when the prefill began."""
    found: list[tuple[float, float]] = []
    variance = errors.jitter**2
    effort, seconds = 0.0, 0.0
    for number, look in enumerate(looks):
        x, t = _effort(growth, 0, look.tokens), look.seconds
        if number == 0:
            effort, seconds = x, t
            continue
        variance += errors.wander * (t - looks[number - 1].seconds)
        whole = variance + errors.jitter**2
        gain = variance / whole
        size = math.sqrt(whole)
        found.append(((x - effort) / size, (t - seconds) / size))
        effort += gain * (x - effort)
        seconds += gain * (t - seconds)
        variance *= 1 - gain
    return found


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else sum(ordered[middle - 1 : middle + 1]) / 2
