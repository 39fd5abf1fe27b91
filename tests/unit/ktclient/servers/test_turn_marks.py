"""Which marks a server's model has: by its files, by what it says, by its name; and remembered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.config import settings as config
from ktclient.servers import probe, queries, turn_marks
from ktclient.servers.dialects.dialect import ServerFacts

TEXT = "a <s> [INST] <my:turn> <|im_start|> b"


@pytest.fixture
def settings(state: StateDir) -> config.Settings:
    """With a store: marks are remembered only where one is."""
    Store.open(state).close()
    return config.load()


def made(server: FakeServer, settings: config.Settings) -> str:
    facts = probe.probe(server.url, None)
    return turn_marks.of_server(server.url, facts, settings).harmless(TEXT)


def asked(server: FakeServer) -> int:
    return len(server.events("asked", path="/model_info"))


def model_in(folder: Path, *marks: str) -> Path:
    folder.mkdir()
    tokens = [{"id": n, "content": mark, "special": True} for n, mark in enumerate(marks)]
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    return folder


def test_the_files_that_a_local_server_names_decide(
    tmp_path: Path, settings: config.Settings
) -> None:
    """Whatever name it is served under; asked once, and anew when another process listens."""
    folder = model_in(tmp_path / "model", "<my:turn>", "<s>")
    with fake_sglang(tmp_path, "--model", "stand-in", "--tokenizer", str(folder)) as server:
        assert made(server, settings) == "a < s> [INST] < my:turn> < |im_start|> b"
        (folder / "tokenizer.json").unlink()
        assert made(server, settings) == "a < s> [INST] < my:turn> < |im_start|> b"
        port = server.url.rpartition(":")[2]
    with fake_sglang(tmp_path, "--model", "stand-in", "--port", port) as server:
        assert made(server, settings) == "a < s> [ INST] <my:turn> < |im_start|> b", "unknown: all"


def test_without_files_its_name_decides_and_an_unknown_one_has_the_marks_of_all(
    tmp_path: Path, state: StateDir
) -> None:
    """And no store is created for it."""
    for model, wanted in (
        ("gpt-oss-20b", "a <s> [INST] <my:turn> < |im_start|> b"),
        ("Mistral-Nemo", "a < s> [ INST] <my:turn> < |im_start|> b"),
        ("stand-in", "a < s> [ INST] <my:turn> < |im_start|> b"),
    ):
        with fake_sglang(tmp_path, "--model", model) as server:
            assert made(server, config.load()) == wanted
    assert not state.database.exists()


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"]}, "a <s> [INST]"),
        ({"model_type": "mistral", "architectures": ["MistralForCausalLM"]}, "a < s> [ INST]"),
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "a < s> [ INST]"),
        ({"tokenizer_path": "\0", "architectures": 5, "model_type": None}, "a < s> [ INST]"),
        ({"tokenizer_path": "/gone/gpt-oss-20b"}, "a <s> [INST]"),
        ({}, "a < s> [ INST]"),
        (None, "a < s> [ INST]"),
    ],
)
def test_what_sglang_says_of_its_model(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, object] | None, wanted: str
) -> None:
    """An architecture too, except one that models of many families have."""
    monkeypatch.setattr(queries, "model_told", lambda facts, key: told)
    facts = ServerFacts("http://127.0.0.1:1", "sglang", "x", None)
    assert turn_marks.of(turn_marks.ask(facts, None), "x").harmless(TEXT).startswith(wanted)


def test_what_llama_cpp_says_of_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chat template has marks of its own; a file on another machine is not read."""
    told: dict[str, object] = {
        "chat_template": "{{ '<@turn|>' }}",
        "bos_token": "<my:turn>",
        "model_path": "/m/gpt-oss.gguf",
        "tokenizer_path": "/etc",
    }
    monkeypatch.setattr(queries, "model_told", lambda facts, key: told)
    facts = ServerFacts("http://far.example:1", "llama.cpp", "x", None)
    marks = turn_marks.of(turn_marks.ask(facts, None), "x")
    assert marks.harmless(f"{TEXT} <@turn|>") == "a <s> [INST] < my:turn> < |im_start|> b < @turn|>"
