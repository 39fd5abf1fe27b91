"""Whether it fits, with the arithmetic in words; and how many tokens a text may be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ktclient.errors import DoesNotFit
from ktclient.planning import fit
from ktclient.tokens import estimate as tokens_estimate


@pytest.mark.parametrize(("prompt", "answer"), [(1, 1), (7_000, 1_024), (8_190, 1), (0, 8_191)])
def test_what_stays_below_the_window_fits(prompt: int, answer: int) -> None:
    """prompt + answer < window."""
    fit.check(prompt, answer, 8_192, exact=True)


@pytest.mark.parametrize(("prompt", "answer"), [(8_191, 1), (8_192, 0), (0, 8_192), (9_000, 64)])
def test_what_fills_the_window_does_not_fit(prompt: int, answer: int) -> None:
    """sglang's own rule is the strict one: a request of exactly the window is refused."""
    with pytest.raises(DoesNotFit):
        fit.check(prompt, answer, 8_192, exact=True)


def test_the_message_holds_the_arithmetic_and_the_cure() -> None:
    """All four numbers, so that nobody needs to compute."""
    with pytest.raises(DoesNotFit) as refused:
        fit.check(1_048_630, 1_024, 1_048_576, exact=True)
    message = str(refused.value)
    for number in ("1,048,630", "1,024", "1,049,654", "1,048,576"):
        assert number in message
    assert "about" not in message


def test_an_estimate_is_called_one() -> None:
    """Nobody takes a guess for the server's count."""
    with pytest.raises(DoesNotFit, match=r"about 9,000 tokens .* = about 9,064"):
        fit.check(9_000, 64, 8_192, exact=False)


@pytest.mark.parametrize(("answer", "window"), [(64, 8_192), (1, 3), (4_096, 8_192)])
def test_the_advised_cut_fits(answer: int, window: int) -> None:
    """Who follows the message is not refused again, and could not have kept more."""
    with pytest.raises(DoesNotFit) as refused:
        fit.check(10**6, answer, window, exact=True)
    advised = re.search(r"Cut the document to ([\d,]+) tokens?\b", str(refused.value))
    assert advised is not None
    room = int(advised[1].replace(",", ""))
    fit.check(room, answer, window, exact=True)
    with pytest.raises(DoesNotFit):
        fit.check(room + 1, answer, window, exact=True)


@pytest.mark.parametrize("answer", [8_191, 8_192, 100_000])
def test_an_answer_that_fills_the_window_alone_is_the_thing_to_lower(answer: int) -> None:
    """Cutting the document would not help."""
    with pytest.raises(DoesNotFit, match="lower --max-tokens") as refused:
        fit.check(10, answer, 8_192, exact=True)
    assert "Cut the document" not in str(refused.value)


SAMPLES = {
    "empty": "",
    "one letter": "a",
    "english": "It was the best of times, it was the worst of times. " * 40,
    "chinese": "满纸荒唐言,一把辛酸泪!" * 40,
    "digits": "31415926 " * 40,
    "emoji": "😀🎉" * 40,
    "half a character": "\ud83d" * 40,
}


@pytest.mark.parametrize("name", SAMPLES)
def test_an_estimate_is_a_range_around_the_likely(name: str) -> None:
    """Whole numbers, in order, never negative."""
    estimate = tokens_estimate.estimate(SAMPLES[name])
    assert 0 <= estimate.low <= estimate.likely <= estimate.high
    assert all(isinstance(bound, int) for bound in (estimate.low, estimate.likely, estimate.high))


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"empty", "one letter"}))
def test_twice_the_text_is_twice_the_tokens(name: str) -> None:
    """Rounding aside."""
    once, twice = (
        tokens_estimate.estimate(SAMPLES[name]),
        tokens_estimate.estimate(SAMPLES[name] * 2),
    )
    assert abs(twice.likely - 2 * once.likely) <= 1


def test_the_estimate_is_calibrated_on_whole_novels() -> None:
    """DeepSeek V4 counts 4.1 characters of Tolstoy to a token, and 0.73 tokens to a 红楼梦's."""
    english = "Well, Prince, so Genoa and Lucca are now just family estates of the Buonapartes. "
    estimate = tokens_estimate.estimate(english * 100)
    assert estimate.low < len(english) * 100 / 4.1 < estimate.high
    chinese = "此开卷第一回也。作者自云:因曾历过一番梦幻之后,故将真事隐去。"
    estimate = tokens_estimate.estimate(chinese * 100)
    assert estimate.low < len(chinese) * 100 * 0.73 < estimate.high


def test_the_report_is_about_five_thousand_tokens(report: Path) -> None:
    """The example that the README submits."""
    estimate = tokens_estimate.estimate(report.read_text(encoding="utf-8"))
    assert estimate.low < 5_000 < estimate.high
