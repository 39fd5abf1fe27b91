"""System prompt, temperature and thinking: what is taken, refused, and sent to servers."""

from __future__ import annotations

import json
import math

import pytest

from ktclient.errors import BadInput
from ktclient.prompts.generation import GenerationSettings, parse
from ktclient.prompts.tasks import Kind, Task
from ktclient.servers import queries
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.submission.spec import JobSpec


def spec(how: GenerationSettings) -> JobSpec:
    task = Task(Kind.ASK, "Who?")
    return JobSpec(task, "http://localhost:1", None, 64, 60.0, manner=how)


@pytest.mark.parametrize("temperature", [-0.1, 2.1, math.nan, math.inf])
def test_a_temperature_beyond_its_range_is_refused(temperature: float) -> None:
    """Before anything is stored."""
    with pytest.raises(BadInput, match="temperature must be from 0 to 2"):
        parse(temperature=temperature)


@pytest.mark.parametrize("system", ["", " \n", "half \ud83d", "a\0b"])
def test_a_system_prompt_that_is_no_text_is_refused(system: str) -> None:
    """As for questions."""
    with pytest.raises(BadInput, match="the system text"):
        parse(system)


@pytest.mark.parametrize(
    "how",
    [
        GenerationSettings(),
        GenerationSettings("Be brief.", 0.0, False),
        GenerationSettings(None, 2.0, True),
        GenerationSettings(thinking=True),
        GenerationSettings(thinking=True, effort="max"),
    ],
)
def test_the_spec_carries_it(how: GenerationSettings) -> None:
    """There and back."""
    assert JobSpec.from_json(spec(how).to_json()).manner == how


def test_an_older_runner_can_read_the_spec() -> None:
    """All of it lies inside of "task", where every version leaves what it does not know."""
    plain = json.loads(spec(GenerationSettings()).to_json())
    full = json.loads(spec(GenerationSettings("Be brief.", 0.5, True)).to_json())
    assert plain["task"] == {"kind": "ask", "text": "Who?"}
    assert full.keys() == plain.keys() and full["version"] == plain["version"]


@pytest.mark.parametrize("dialect", ["sglang", "llama.cpp", "openai-compatible"])
def test_thinking_is_sent_only_where_it_was_said(dialect: str) -> None:
    """By both names; else as before: off on sglang, nothing elsewhere."""
    facts = ServerFacts("http://localhost:1", dialect, "m", None)
    for said in (True, False):
        sent = queries.request_fields(facts, "r1", said)["chat_template_kwargs"]
        assert sent == {"thinking": said, "enable_thinking": said}
    unsaid = queries.request_fields(facts, "r1").get("chat_template_kwargs")
    assert unsaid == ({"thinking": False} if dialect == "sglang" else None)


@pytest.mark.parametrize(
    ("dialect", "model", "effort"),
    [
        ("sglang", "DeepSeek-V4-Flash", "high"),
        ("sglang", "/models/deepseek-v4-flash-mxfp4", "high"),
        ("sglang", "Qwen3-30B", None),
        ("openai-compatible", "DeepSeek-V4-Flash", None),
    ],
)
def test_deepseek_v4_thinks_without_words_before_the_document(
    dialect: str, model: str, effort: str | None
) -> None:
    """Unless told otherwise, sglang-kt puts 79 tokens before the document."""
    facts = ServerFacts("http://localhost:1", dialect, model, None)
    for thinking in (True, False):
        sent = queries.request_fields(facts, "r1", thinking)["chat_template_kwargs"]
        assert isinstance(sent, dict)
        assert sent.get("reasoning_effort") == (effort if thinking else None)


def test_an_effort_turns_thinking_on() -> None:
    """It is one of four, and is refused beside thinking off."""
    for effort in ("low", "medium", "high", "max"):
        assert parse(effort=effort) == GenerationSettings(thinking=True, effort=effort)
        assert parse(thinking=True, effort=effort).effort == effort
    with pytest.raises(BadInput, match="effort must be one of low, medium, high, max, not"):
        parse(effort="hard")
    with pytest.raises(BadInput, match="effort low is for thinking, which is turned off"):
        parse(thinking=False, effort="low")


def test_the_effort_is_sent_where_each_server_reads_it() -> None:
    """sglang in the template's arguments only: sglang-kt 0.6.2 refuses "max" beside them."""
    for dialect, model in (("sglang", "DeepSeek-V4-Flash"), ("sglang", "Qwen3-30B")):
        facts = ServerFacts("http://localhost:1", dialect, model, None)
        sent = queries.request_fields(facts, "r1", True, "max")
        assert "reasoning_effort" not in sent
        kwargs = {"thinking": True, "enable_thinking": True, "reasoning_effort": "max"}
        assert sent["chat_template_kwargs"] == kwargs
    for dialect in ("llama.cpp", "openai-compatible"):
        facts = ServerFacts("http://localhost:1", dialect, "gpt-oss-120b", None)
        sent = queries.request_fields(facts, "r1", True, "low")
        kwargs = {"thinking": True, "enable_thinking": True, "reasoning_effort": "low"}
        assert (sent["reasoning_effort"], sent["chat_template_kwargs"]) == ("low", kwargs)
