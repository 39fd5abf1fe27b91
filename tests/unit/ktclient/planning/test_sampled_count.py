"""A count of a few stretches of a long text."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktclient.config import settings as config
from ktclient.planning import forecast, token_count
from ktclient.planning.forecast import Around
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.selection import Target

FACTS = ServerFacts("http://example.invalid", "sglang", "DeepSeek-V4-Flash", 1_048_576)
PROSE = (Path(__file__).parents[4] / "README.md").read_text(encoding="utf-8")
NUMBERS = " ".join(str(number * 7919 % 1_000_003) for number in range(20_000))


@pytest.mark.parametrize("text", [PROSE * 40, NUMBERS * 4, PROSE * 20 + NUMBERS * 3])
def test_it_is_near_the_whole_count(text: str) -> None:
    settings = config.load({"HOME": "/nowhere"})
    found = token_count.sampled(text, FACTS, settings)
    assert found is not None and not found.exact
    exact = token_count.best(text, FACTS, settings, may_ask=False)
    assert found.low < exact.tokens < found.high


def test_a_short_text_or_an_unknown_vocabulary_has_none() -> None:
    settings = config.load({"HOME": "/nowhere"})
    assert token_count.sampled(PROSE[:1000], FACTS, settings) is None
    other = ServerFacts("http://example.invalid", "vllm", "no-such-model", 1_048_576)
    assert token_count.sampled(PROSE * 40, other, settings) is None


def test_all_is_counted_where_the_sample_decides_nothing() -> None:
    settings = config.load({"HOME": "/nowhere"})
    text = PROSE * 40
    target = Target("http://example.invalid", "named", FACTS, None)
    for room, is_exact in ((None, True), (1000, True), (900_000, False)):
        around = Around(sample_below=room)
        count, verdict = forecast.assess(text, 100, target, settings, around)
        assert count.exact is is_exact and verdict.fits
