"""The words about its effort before the text, against what each server's own encoder wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ktclient.tokens import bundled, deepseek_effort
from ktclient.tokens.counter import Counter

GOLDEN = json.loads(
    (Path(__file__).parents[3] / "data" / "deepseek_effort.json").read_text(encoding="utf-8")
)
CASES: list[dict[str, Any]] = GOLDEN["cases"]
AROUND = 4
MARK = "\N{FULLWIDTH VERTICAL LINE}"
SYSTEM = f"<{MARK}System{MARK}>"


def test_the_tokens_are_those_of_the_real_encoders() -> None:
    """For each engine, profile and effort: as its own code wrote the prompt."""
    assert len(CASES) == 40
    for case in CASES:
        (encoder,) = deepseek_effort.encoders(case["engine"], case["profile"], v41=case["v41"])
        assert AROUND + encoder.tokens(case["effort"]) == case["template_tokens"], case


def test_the_bundled_vocabulary_counts_the_words_alike() -> None:
    """As the tokenizers library did for the recording."""
    counter = Counter(bundled.deepseek_v4())
    by_start = {case["start"]: case["template_tokens"] for case in CASES}
    assert len(by_start) == len(GOLDEN["starts"]) == 6
    for number, tokens in by_start.items():
        words = re.sub(f"<{MARK}(begin.of.sentence|User){MARK}>", "", GOLDEN["starts"][number])
        found = counter.count(words.removeprefix(SYSTEM)) + words.startswith(SYSTEM)
        assert found == tokens - AROUND


def test_efforts_with_as_many_tokens_begin_alike() -> None:
    """`planning.thinking` takes equal numbers for equal words, but for V4.1's line."""
    starts: dict[int, set[int]] = {}
    for case in CASES:
        if not case["v41"]:
            starts.setdefault(case["template_tokens"], set()).add(case["start"])
    assert all(len(found) == 1 for found in starts.values())


@pytest.mark.parametrize(
    ("engine", "profile", "efforts", "tokens"),
    [
        (None, None, "high", {0, 79}),
        (None, None, "max", {79, 92}),
        ("sglang-kt 0.7", None, "low", {0, 79}),
        ("sglang-kt 0.7", "official", "low", {0}),
        ("sglang-kt 0.6", None, "max", {79}),
        ("sglang 0.5.17", "official", "max", {79}),
        ("sglang 0.5.20", None, "high", {0, 79}),
        ("sglang 0.5.24.post1", None, "medium", {79}),
        ("sglang 1.0.0", None, "minimal", {0}),
    ],
)
def test_where_it_is_not_sure_all_that_may_be(
    engine: str | None, profile: str | None, efforts: str, tokens: set[int]
) -> None:
    """Nothing is guessed from a part of what has to be known."""
    found = deepseek_effort.encoders(engine, profile, v41=False)
    assert {one.tokens(efforts) for one in found} == tokens


@pytest.mark.parametrize(
    ("source", "profile"),
    [
        ('REASONING_EFFORT_MAX = (\n    "Reasoning"\n)\n', "preview"),
        (
            'DEFAULT_REASONING_EFFORT: str = "low"\nREASONING_EFFORT_PROMPTS = {"low": ""}\n',
            "official",
        ),
        ('DEFAULT_REASONING_EFFORT = "high"\nREASONING_EFFORT_PROMPTS = {}\n', None),
        ("# REASONING_EFFORT_MAX = 1\n    REASONING_EFFORT_MAX = 2\n", None),
        ("", None),
    ],
)
def test_a_models_own_encoder_says_its_profile(source: str, profile: str | None) -> None:
    """By the constants that it defines; nothing of it is run."""
    assert deepseek_effort.profile_in(source) == profile


def test_v41_is_known_by_its_name() -> None:
    for name in ("DeepSeek-V4.1-Flash", "/models/deepseek_v4_1", "deepseek-v41-flash"):
        assert deepseek_effort.is_v41(name) and bundled.is_deepseek_v4(name)
    for name in ("DeepSeek-V4-Flash", "deepseek-v4-17b", "DeepSeek-V4-Flash-1M"):
        assert not deepseek_effort.is_v41(name)
