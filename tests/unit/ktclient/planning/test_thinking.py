"""What a request says of thinking, and what that costs before its text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ktclient.config import settings as config
from ktclient.config.settings import Settings
from ktclient.errors import BadInput
from ktclient.planning import thinking
from ktclient.planning.thinking import Thinking
from ktclient.planning.token_count import Count
from ktclient.request.body import Body
from ktclient.servers import queries
from ktclient.servers.dialects.dialect import ServerFacts

AWAY = ServerFacts("http://example.invalid", "sglang", "DeepSeek-V4-Flash", 1_048_576)
KT, KT_OLD, UPSTREAM = (
    replace(AWAY, engine=engine) for engine in ("sglang-kt 0.7", "sglang-kt 0.6", "sglang 0.5.23")
)
V41 = replace(UPSTREAM, model="DeepSeek-V4.1-Flash")
HIGH, MAX, OFF = Thinking(True, "high"), Thinking(True, "max"), Thinking(False)


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What each server says of its model."""
    found: dict[str, object] = {}
    monkeypatch.setattr(queries, "model_told", lambda facts, key: found)
    monkeypatch.setattr(thinking, "_known", {})
    return found


@pytest.fixture
def settings() -> Settings:
    return config.load({"HOME": "/nowhere"})


def counted(said: Thinking, facts: ServerFacts, settings: Settings) -> tuple[int, bool, int]:
    count = thinking.counted(Count(100, True, "a vocabulary"), said, facts, settings)
    return count.tokens, count.exact, count.high


def test_where_the_engine_is_known_the_count_stays_exact(settings: Settings) -> None:
    """With what its own template puts before the text."""
    assert counted(OFF, KT, settings) == (100, True, 100)
    assert counted(Thinking(), KT, settings) == (100, True, 100)  # ktjob turns it off
    assert counted(Thinking(True), UPSTREAM, settings) == (179, True, 179)  # as "high"
    assert counted(HIGH, UPSTREAM, settings) == (179, True, 179)
    assert counted(MAX, UPSTREAM, settings) == (192, True, 192)
    assert counted(Thinking(True, "low"), UPSTREAM, settings) == (100, True, 100)
    assert counted(MAX, KT_OLD, settings) == (179, True, 179)
    assert counted(HIGH, KT_OLD, settings) == (100, True, 100)
    assert counted(MAX, V41, settings) == (126, True, 126)


def test_else_it_says_how_many_tokens_there_may_be_more(settings: Settings) -> None:
    """Two profiles of the model, of which a server far away does not say which it has."""
    assert counted(HIGH, KT, settings) == (100, False, 179)
    assert counted(MAX, KT, settings) == (179, False, 192)
    assert counted(MAX, AWAY, settings) == (179, False, 192)
    left = Thinking(is_left=True)
    assert counted(left, KT, settings) == (100, False, 192)  # it thinks, unless its start says no
    assert counted(left, replace(AWAY, dialect="llama.cpp"), settings) == (100, True, 100)
    other = replace(AWAY, model="Qwen3-30B")
    assert counted(HIGH, other, settings)[1:] == (False, 100 + 1 + 32 + 92)
    assert counted(OFF, other, settings) == (100, True, 100)
    assert thinking.words(HIGH, None, settings) is None


def test_a_model_that_lies_here_says_its_profile(
    settings: Settings, told: dict[str, object], tmp_path: Path
) -> None:
    """By its own encoder; one without is read as the preview. A name of the hub says nothing."""
    here = replace(KT, url="http://127.0.0.1:1", model="my-model")
    encoder = tmp_path / "encoding" / "encoding_dsv4.py"
    told.update(model_path=str(tmp_path), architectures=["DeepseekV4ForCausalLM"])
    assert counted(HIGH, here, settings) == (100, False, 179)
    (tmp_path / "config.json").write_text("{}")
    assert counted(HIGH, replace(here, url="http://127.0.0.1:2"), settings) == (100, True, 100)
    encoder.parent.mkdir()
    encoder.write_text('DEFAULT_REASONING_EFFORT = "low"\nREASONING_EFFORT_PROMPTS = {}\n')
    assert counted(HIGH, replace(here, url="http://127.0.0.1:3"), settings) == (179, True, 179)
    encoder.write_text('REASONING_EFFORT_MAX = ""\n')
    assert counted(MAX, replace(here, url="http://127.0.0.1:4"), settings) == (179, True, 179)
    told["model_type"] = "deepseek_v41"
    assert counted(MAX, replace(here, url="http://127.0.0.1:5"), settings) == (126, True, 126)


def test_an_effort_that_is_silently_the_hardest_is_refused(
    settings: Settings, told: dict[str, object]
) -> None:
    """With those that are known; where it may be right, it is sent."""
    with pytest.raises(
        BadInput, match=r"sglang-kt 0\.7 does not know the effort medium"
    ) as refused:
        thinking.require(Thinking(True, "medium"), KT, settings)
    assert "Use one of high, max" in str(refused.value)
    for facts in (KT, KT_OLD, UPSTREAM, AWAY, None):
        thinking.require(Thinking(True, "low"), facts, settings)
        thinking.require(MAX, facts, settings)
    thinking.require(Thinking(False, "medium"), KT, settings)
    small = replace(AWAY, dialect="llama.cpp", model="SmolLM2")
    told["chat_template"] = "{{ messages }}"
    with pytest.raises(BadInput, match="chat template of SmolLM2 knows no effort, so high would"):
        thinking.require(HIGH, small, settings)
    told["chat_template"] = "{{ reasoning_effort }}"
    thinking.require(HIGH, small, settings)


def test_it_is_said_in_words(settings: Settings) -> None:
    def said(how: Thinking, facts: ServerFacts) -> str:
        return str(thinking.words(how, facts, settings))

    assert said(HIGH, UPSTREAM) == "high, 83 tokens of template"
    medium = "medium, which this server reads as high, 83 tokens of template"
    assert said(Thinking(True, "medium"), UPSTREAM) == medium
    assert said(HIGH, KT) == "high, 4 or 83 tokens of template"
    left = said(Thinking(is_left=True), KT)
    assert left == "max, 4 or 83 or 96 tokens of template"


def test_another_effort_shares_no_prefix(settings: Settings) -> None:
    """Where the words are the same ones, or there are none, the text is in the cache."""

    def differ(one: Thinking, other: Thinking, facts: ServerFacts) -> bool:
        return thinking.starts_otherwise(one, other, facts, settings)

    assert differ(HIGH, MAX, UPSTREAM) and differ(OFF, HIGH, UPSTREAM)
    assert not differ(OFF, Thinking(True, "low"), UPSTREAM)
    assert not differ(Thinking(True, "medium"), HIGH, UPSTREAM)
    assert not differ(OFF, HIGH, KT_OLD) and differ(OFF, MAX, KT_OLD)
    assert differ(HIGH, HIGH, KT) is False and differ(OFF, HIGH, KT)
    assert differ(HIGH, MAX, V41) and not differ(HIGH, Thinking(True, "medium"), V41)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, (None, None)),
        ({"reasoning_effort": "max"}, (True, "max")),
        ({"reasoning_effort": "none"}, (False, None)),
        ({"reasoning": {"effort": "low"}}, (True, "low")),
        ({"reasoning_effort": 0.5}, (None, None)),
        ({"chat_template_kwargs": {"thinking": True}}, (True, None)),
        ({"chat_template_kwargs": {"thinking": False}}, (False, None)),
        ({"chat_template_kwargs": {"thinking": False}, "reasoning_effort": "high"}, (None, "high")),
        ({"chat_template_kwargs": {"thinking": True, "reasoning_effort": "max"}}, (True, "max")),
        ({"chat_template_kwargs": {"reasoning_effort": "none"}}, (False, None)),
        ({"chat_template_kwargs": [], "reasoning": "x"}, (None, None)),
        ({"thinking": {"type": "enabled"}}, (None, None)),
    ],
)
def test_what_a_body_says(fields: dict[str, object], said: tuple[bool | None, str | None]) -> None:
    """By the names that servers read; None where they read it differently, or nothing is said."""
    assert Body({"messages": [], **fields}).thinking == said
