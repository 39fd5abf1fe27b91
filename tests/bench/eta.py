"""Times predicted and measured: `python tests/bench/eta.py` prints the tables of the docs.

First from one recorded prefill of a real H100 (tests/data/prefill/h100.json), for others of the
same server before they start. Then on the deployment guide's curve, in a simulation with chunks of
ten seconds that stray by a tenth, looked at every two seconds, with a prior that is wrong by a
factor of two: no earlier prefill is known.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from ktclient.planning import prefill_time  # noqa: E402
from ktclient.planning.prefill_time import GUIDE, Curve, PrefillModel, Sample  # noqa: E402

H100 = json.loads((ROOT / "tests/data/prefill/h100.json").read_text())
TOKENS = 600_000
SEEDS = range(15)
NAMES = {
    "pair_long": "pair: the same text again, after a restart",
    "two_a": "noradix_two, the first",
    "two_b": "noradix_two, the second, behind it",
    "one": "edge_one: 855,912 tokens",
}


def calibrated(tag: str) -> PrefillModel:
    """What one recording teaches."""
    end, tokens = H100["first_token"][tag]["seconds"], H100["first_token"][tag]["tokens"]
    looks = [Sample(done, at) for at, done in H100["polls"][tag] if at < end]
    kept = prefill_time.progress([*looks, Sample(tokens, end)])
    return prefill_time.fit_model(
        [], [kept], lag=prefill_time.lag_of(end, tokens, prefill_time.fit_model(kept))
    )


def recorded() -> None:
    belief = calibrated("long")
    print("| recording, after `long` | predicted, s | measured, s | error |\n|---|---|---|---|")
    before = 0.0
    for tag, name in NAMES.items():
        known = H100["first_token"][tag]
        alone = belief.first_token(known["tokens"]).seconds
        predicted = alone + (before if tag == "two_b" else 0.0)
        before = alone
        error = predicted / known["seconds"] - 1
        print(f"| {name} | {predicted:.1f} | {known['seconds']:.1f} | {error:+.1%} |")


def run(seed: int) -> list[tuple[int, float]]:
    """Marks of one prefill on the guide's curve: tokens read at the end of each chunk."""
    dice = random.Random(seed)
    marks, time, done = [(0, 0.0)], 1.0, 0
    while done < TOKENS:
        end = min(TOKENS, done + int(10 / (GUIDE.base * (1 + GUIDE.growth * done))))
        time += GUIDE.seconds(done, end) * dice.uniform(0.9, 1.1)
        done = end
        marks.append((done, time))
    return marks


def error(seed: int, share: float, prior: Curve) -> float:
    """Of the total time that is shown at a share of the prefill."""
    marks = run(seed)
    stop = next(at for tokens, at in marks if tokens >= share * TOKENS)
    looks = [
        Sample(max(tokens for tokens, at in marks if at <= now), now)
        for now in (0.3 + 2 * step for step in range(int(stop / 2) + 1))
    ]
    seen = prefill_time.progress(looks)
    left = prefill_time.fit_model(seen, prior=prior).estimate(seen[-1].tokens, TOKENS)
    return abs((seen[-1].seconds + left.seconds) / marks[-1][1] - 1)


def simulated() -> None:
    print("\n| read | prior | median error | worst of 15 |\n|---|---|---|---|")
    for share in (0.2, 0.5):
        for factor in (0.5, 1.0, 2.0):
            prior = Curve(GUIDE.base * factor, GUIDE.growth)
            errors = [error(seed, share, prior) for seed in SEEDS]
            middle, worst = statistics.median(errors), max(errors)
            print(f"| {share:.0%} | x {factor:g} | {middle:.1%} | {worst:.1%} |")


if __name__ == "__main__":
    recorded()
    simulated()
