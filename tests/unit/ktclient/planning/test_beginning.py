"""What stands before a document in a request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.store.state_dir import StateDir
from ktclient.config.settings import Settings
from ktclient.planning import beginning
from ktclient.prompts.generation import GenerationSettings
from ktclient.servers.dialects.dialect import ServerFacts

URL = "http://127.0.0.1:9"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(StateDir(tmp_path / "state"), tmp_path, tmp_path / "c.toml", None, {})


def server(dialect: str, model: str, engine: str | None = None) -> ServerFacts:
    return ServerFacts(URL, dialect, model, 4096, engine=engine)


LLAMA, V4 = server("llama.cpp", "m"), server("sglang", "DeepSeek-V4-Flash", "sglang-kt 0.7")
EMBEDDED = None
OTHERS = (LLAMA, server("vllm", "m"), server("openai-compatible", "m"), EMBEDDED)


def test_a_system_prompt_thinking_and_an_effort_begin_a_request_in_another_way(
    settings: Settings,
) -> None:
    """On every kind of server; a temperature does not. The same again begins alike."""
    manners = (
        GenerationSettings(),
        GenerationSettings(system="Be brief."),
        GenerationSettings(system="Be long."),
        GenerationSettings(thinking=True),
        GenerationSettings(thinking=True, effort="low"),
        GenerationSettings(thinking=True, effort="max"),
    )
    for where in (*OTHERS, server("sglang", "Qwen3")):
        found = [beginning.of_task(where, one, settings) for one in manners]
        assert found[0] == "" and len(set(found)) == len(manners), where
        warm = replace(manners[1], temperature=0.7)
        assert beginning.of_task(where, warm, settings) == found[1]


def test_what_a_server_reads_alike_begins_alike(settings: Settings) -> None:
    """sglang is asked without thinking where nothing is said. Efforts that DeepSeek V4's template
    of this release does not tell apart are one; the embedded server is the same before it runs."""
    off = GenerationSettings(thinking=False)
    assert beginning.of_task(V4, off, settings) == ""
    assert beginning.of_task(LLAMA, off, settings) != ""
    hard = [GenerationSettings(thinking=True, effort=one) for one in ("high", "max")]
    thinks = beginning.of_task(V4, GenerationSettings(thinking=True), settings)
    usual, hardest = (beginning.of_task(V4, one, settings) for one in hard)
    assert thinks == usual != hardest and usual
    for manner in (off, *hard):
        found = {beginning.of_task(one, manner, settings) for one in (EMBEDDED, LLAMA)}
        assert len(found) == 1
