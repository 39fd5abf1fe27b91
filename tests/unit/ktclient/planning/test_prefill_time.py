"""Prefill times: predicted from recorded prefills of a real server, and on the guide's curve."""

from __future__ import annotations

import json
import random
import statistics
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ktclient.planning import prefill_time
from ktclient.planning.prefill_time import GUIDE, Countdown, Curve, PrefillModel, Sample

H100 = json.loads((Path(__file__).parents[3] / "data/prefill/h100.json").read_text())
TOKENS = 600_000


def recorded(tag: str) -> tuple[list[Sample], float, int]:
    """Looks at one recorded prefill with its end, the time of its first token, its tokens."""
    end, tokens = H100["first_token"][tag]["seconds"], H100["first_token"][tag]["tokens"]
    looks = [Sample(done, at) for at, done in H100["polls"][tag] if at < end]
    return [*looks, Sample(tokens, end)], end, tokens


def calibrated(tag: str) -> PrefillModel:
    looks, end, tokens = recorded(tag)
    kept = prefill_time.progress(looks)
    return prefill_time.fit_model(
        [], [kept], lag=prefill_time.lag_of(end, tokens, prefill_time.fit_model(kept))
    )


@pytest.mark.parametrize("seen", ["long", "pair_long"])
@pytest.mark.parametrize("next_one", ["long", "pair_long", "two_a", "one"])
def test_after_one_prefill_the_next_is_predicted_within_a_tenth(seen: str, next_one: str) -> None:
    """A real H100, polled once a second in half a minute. "one" is half as long again."""
    known = H100["first_token"][next_one]
    predicted = calibrated(seen).first_token(known["tokens"])
    assert predicted.seconds == pytest.approx(known["seconds"], rel=0.1)
    assert predicted.low < predicted.seconds < predicted.high


def test_the_second_of_two_waits_for_the_first() -> None:
    """noradix_two: without a prefix cache both cost the whole prefill, one after the other."""
    one = calibrated("long").first_token(H100["first_token"]["two_a"]["tokens"])
    assert 2 * one.seconds == pytest.approx(H100["first_token"]["two_b"]["seconds"], rel=0.1)


def test_what_is_cached_costs_nothing() -> None:
    """Recorded: the second question on 586,763 cached tokens took 2.85 s, nearly all of it the
    server's tokenizer."""
    again = calibrated("long").first_token(586_773, cached=586_763)
    assert again.seconds < 5


def guide_run(seed: int, share: float, prior: Curve) -> float:
    """The relative error of the predicted total at a share of a prefill on the guide's curve, in
    chunks of ten seconds that stray by a tenth, looked at every two seconds."""
    dice = random.Random(seed)
    marks, time, done = [(0, 0.0)], 1.0, 0
    while done < TOKENS:
        chunk = int(10 / (GUIDE.base * (1 + GUIDE.growth * done)))
        end = min(TOKENS, done + chunk)
        time += GUIDE.seconds(done, end) * dice.uniform(0.9, 1.1)
        done = end
        marks.append((done, time))
    stop = next(at for tokens, at in marks if tokens >= share * TOKENS)
    looks = [
        Sample(max(tokens for tokens, at in marks if at <= now), now)
        for now in (0.3 + 2 * step for step in range(int(stop / 2) + 1))
    ]
    seen = prefill_time.progress(looks)
    left = prefill_time.fit_model(seen, prior=prior).estimate(seen[-1].tokens, TOKENS)
    return abs((seen[-1].seconds + left.seconds) / time - 1)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(("share", "most"), [(0.2, 0.05), (0.5, 0.03)])
def test_a_prior_that_is_wrong_by_a_factor_of_two_is_soon_corrected(
    factor: float, share: float, most: float
) -> None:
    """Of many runs the typical one; no estimator knows the slope from a fifth of noisy chunks in
    every run."""
    prior = Curve(GUIDE.base * factor, GUIDE.growth)
    errors = [guide_run(seed, share, prior) for seed in range(15)]
    assert statistics.median(errors) < most
    assert max(errors) < 3 * most


def test_the_prior_is_the_guides() -> None:
    """590 tokens a second falling to 320, about 23 minutes for 600K (facts of the guide)."""
    belief = prefill_time.fit_model([])
    assert GUIDE.seconds(0, TOKENS) / 60 == pytest.approx(24, abs=1)
    assert belief.first_token(TOKENS).low < GUIDE.seconds(0, TOKENS)
    assert belief.first_token(TOKENS).high > 10 * GUIDE.seconds(0, TOKENS), "nothing is known yet"


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.floats(0, 10**5)), max_size=30, unique_by=lambda x: x[1]
    )
)
@example([(0, 0.0), (1, 1.4e-287)])
@settings(max_examples=60, deadline=None)
def test_no_looks_however_odd_break_it(raw: list[tuple[int, float]]) -> None:
    """Counters that fall, stand still or jump: always an estimate, always in order."""
    looks = [Sample(tokens, at) for tokens, at in sorted(raw, key=lambda one: one[1])]
    told = prefill_time.fit_model(prefill_time.progress(looks)).estimate(0, TOKENS)
    assert 0 < told.low <= told.seconds <= told.high < float("inf")


def test_a_deadline_is_never_below_the_guides_nor_below_twice_the_estimate() -> None:
    assert prefill_time.timeout(prefill_time.Estimate(10, 5, 20)) == 3600
    assert prefill_time.timeout(prefill_time.Estimate(3000, 2500, 4000)) == 8000


def test_what_is_shown_jumps_only_with_a_reason() -> None:
    """A fifth at the most from one look to the next, in both directions."""
    shown = Countdown()
    assert shown.show(1000, now=0) == 1000
    assert shown.show(2000, now=10) == pytest.approx(990 * 1.2)
    assert shown.show(10, now=10) == pytest.approx(990)
    assert shown.show(3000, now=20, has_reason=True) == 3000
    assert shown.show(2990, now=30) == 2990
