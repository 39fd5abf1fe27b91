"""What is known of a request before it is sent."""

from __future__ import annotations

from pathlib import Path

from ktclient.config import settings as config
from ktclient.planning import forecast
from ktclient.planning.forecast import Around
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.selection import Target

FACTS = ServerFacts("http://example.invalid", "sglang", "DeepSeek-V4-Flash", 1_048_576)
PROSE = (Path(__file__).parents[4] / "README.md").read_text(encoding="utf-8")


def test_all_is_counted_where_the_sample_decides_nothing() -> None:
    settings = config.load({"HOME": "/nowhere"})
    text = PROSE * 40
    target = Target("http://example.invalid", "named", FACTS, None)
    for room, is_exact in ((None, True), (1000, True), (900_000, False)):
        around = Around(sample_below=room)
        count, verdict = forecast.assess(text, 100, target, settings, around)
        assert count.exact is is_exact and verdict.fits
