"""What stands before a document in a request, and which jobs begin alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.store.state_dir import StateDir
from ktclient.config import settings as config
from ktclient.config.settings import Settings
from ktclient.prompts.generation import GenerationSettings
from ktclient.prompts.tasks import Kind, Task
from ktclient.request.body import Body
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.selection import Target
from ktclient.submission import prefix, spec
from ktclient.submission.spec import JobSpec

URL = "http://127.0.0.1:9"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(StateDir(tmp_path / "state"), tmp_path, tmp_path / "c.toml", None, {})


def target(dialect: str, model: str, engine: str | None = None) -> Target:
    return Target(URL, "", ServerFacts(URL, dialect, model, 4096, engine=engine), None)


EMBEDDED = Target(config.EMBEDDED, "", None, None)
LLAMA, V4 = target("llama.cpp", "m"), target("sglang", "DeepSeek-V4-Flash", "sglang-kt 0.7")
OTHERS = (LLAMA, target("vllm", "m"), target("openai-compatible", "m"), EMBEDDED)


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
    for where in (*OTHERS, target("sglang", "Qwen3")):
        found = [prefix.of_task(where, one, settings) for one in manners]
        assert found[0] == "" and len(set(found)) == len(manners), where
        warm = replace(manners[1], temperature=0.7)
        assert prefix.of_task(where, warm, settings) == found[1]


def test_what_a_server_reads_alike_begins_alike(settings: Settings) -> None:
    """sglang is asked without thinking where nothing is said. Efforts that DeepSeek V4's template
    of this release does not tell apart are one; the embedded server is the same before it runs."""
    off = GenerationSettings(thinking=False)
    assert prefix.of_task(V4, off, settings) == ""
    assert prefix.of_task(LLAMA, off, settings) != ""
    hard = [GenerationSettings(thinking=True, effort=one) for one in ("high", "max")]
    thinks = prefix.of_task(V4, GenerationSettings(thinking=True), settings)
    usual, hardest = (prefix.of_task(V4, one, settings) for one in hard)
    assert thinks == usual != hardest and usual
    for manner in (off, *hard):
        found = {prefix.of_task(one, manner, settings) for one in (EMBEDDED, LLAMA)}
        assert len(found) == 1


def test_a_body_begins_with_all_but_its_last_message() -> None:
    """If that is long: a short one saves no second."""

    def body(before: str, asked: str, **more: Any) -> Body:
        messages = [{"role": "system", "content": before}, {"role": "user", "content": asked}]
        return Body({"messages": messages, **more})

    long = "word " * 2000
    first = prefix.of_body(body(long, "one?"))
    assert first and first == prefix.of_body(body(long, "two?", temperature=0.5))
    assert first != prefix.of_body(body(long + "x", "one?"))
    assert first != prefix.of_body(body(long, "one?", reasoning_effort="high"))
    assert first != prefix.of_body(body(long, "one?", tools=[{"type": "function"}]))
    assert prefix.of_body(body("Be brief.", long)) == ""


def test_the_runner_compares_what_is_stored() -> None:
    """Model, document and what stands before it; of bodies what stands before the last message.
    Jobs of earlier versions have nothing there."""

    def begins(document: str, prefix: str = "", kind: Kind = Kind.ASK, model: str = "m") -> str:
        stored = JobSpec(Task(kind, "?"), URL, model, 8, 60.0, prefix=prefix).to_json()
        assert JobSpec.from_json(stored).prefix == prefix
        return spec.begins(stored, document)

    assert begins("D") == begins("D", kind=Kind.SUMMARIZE)
    different = {begins("D"), begins("E"), begins("D", "p"), begins("D", model="n")}
    assert len(different) == 4
    bodies = {begins(one, "p", Kind.REQUEST) for one in ("B", "C")}
    assert len(bodies) == 1 and bodies.isdisjoint(different)
    assert begins("B", kind=Kind.REQUEST) != begins("C", kind=Kind.REQUEST)
