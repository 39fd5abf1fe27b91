"""Whose count it is: the model's folder, the bundled vocabulary, the server, an estimate."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support import revealing
from support.served import served
from support.tiny_server import Tiny

from ktclient.config import settings as config
from ktclient.documents import document as documents
from ktclient.planning import token_count, token_meter
from ktclient.prompts import tasks
from ktclient.prompts.tasks import Kind, Task
from ktclient.servers.dialects.dialect import ServerFacts

ROOT = Path(__file__).parents[4]
REPORT = (ROOT / "examples/report.txt").read_text(encoding="utf-8")
PAIR = "\xe9\xe9"
"""Three tokens in the vocabulary that shows borders: first byte, the two in between, last byte."""


class Server(ThreadingHTTPServer):
    """Answers GET /model_info with `folder` and counts characters at /tokenize."""

    daemon_threads = True
    folder: object = None

    def facts(self, dialect: str = "sglang", model: str = "m") -> ServerFacts:
        return ServerFacts(f"http://127.0.0.1:{self.server_port}", dialect, model, 8192)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._say({"tokenizer_path": self.server.folder})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/apply-template":
            return self._say({"prompt": "<user>" + body["messages"][0]["content"]})
        text = body.get("prompt", body.get("content", ""))
        return self._say({"count": len(text), "tokens": [0] * len(text)})

    def _say(self, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with served(Server(("127.0.0.1", 0), Handler)) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A DeepSeek V4 model's, with a small vocabulary."""
    folder = tmp_path / "model"
    folder.mkdir()
    content = revealing.tokenizer_json(revealing.PRE_TOKENIZERS["deepseek"])
    (folder / "tokenizer.json").write_bytes(content)
    (folder / "config.json").write_text('{"architectures": ["DeepseekV4ForCausalLM"]}')
    (folder / "tokenizer_config.json").write_text("{}")
    return folder


def counted(message: str, facts: ServerFacts | None) -> token_count.Count:
    return token_count.best(message, facts, config.load())


def test_the_models_folder_comes_first(server: Server, folder: Path) -> None:
    """Exact, the template included; and kept in the cache."""
    server.folder = str(folder)
    count = counted(PAIR, server.facts(model="DeepSeek-V4-Flash"))
    assert count == token_count.Count(3 + 4, True, str(folder / "tokenizer.json"))
    assert str(count) == "7"
    assert list((config.load().cache / "vocabularies").iterdir())


def test_an_unknown_template_makes_it_inexact(server: Server, folder: Path) -> None:
    """By a few tokens, and said."""
    server.folder = str(folder)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    count = counted(PAIR, server.facts())
    assert (count.tokens, count.exact) == (3 + 16, False)
    assert "template" in count.by and str(count) == "~19"


def test_what_cannot_be_converted_goes_to_the_tokenizers_library(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which says why; without it the server is asked."""
    described = json.loads((folder / "tokenizer.json").read_bytes())
    described["normalizer"] = {"type": "Lowercase"}
    (folder / "tokenizer.json").write_text(json.dumps(described))
    server.folder = str(folder)
    count = counted("\xc9\xc9", server.facts())
    assert (count.tokens, count.exact) == (3 + 4, True)
    assert "tokenizers" in count.by and "Lowercase" in count.by
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert "server" in counted("\xc9\xc9", server.facts()).by


@pytest.mark.parametrize("broken", ["missing", "not json", "no folder"])
def test_a_folder_that_cannot_be_used_is_passed_over(
    server: Server, folder: Path, broken: str
) -> None:
    """The next best: here the bundled vocabulary, by the model's name."""
    server.folder = str(folder)
    if broken == "not json":
        (folder / "tokenizer.json").write_bytes(b"\xff")
    else:
        (folder / "tokenizer.json").unlink()
    if broken == "no folder":
        server.folder = {"not": "a path"}
    count = counted("Hello world", server.facts(model="deepseek_v4"))
    assert count == token_count.Count(2 + 4, True, "DeepSeek V4's vocabulary")


def test_the_bundled_vocabulary_counts_a_document_with_its_task(server: Server) -> None:
    """examples/report.txt and the request for a summary."""
    message = tasks.message(documents.from_text(REPORT, "r").text, Task(Kind.SUMMARIZE))
    count = counted(message, server.facts(model="DeepSeek-V4-Flash"))
    assert count.exact and 4_000 < count.tokens < 6_000
    marked = counted(message + "<think>", server.facts(model="DeepSeek-V4-Flash"))
    assert not marked.exact and "<think>" in marked.by


def test_then_the_servers_own_tokenizer(server: Server) -> None:
    """llama.cpp's with its template exactly, sglang's in pieces."""
    assert counted("text", server.facts("llama.cpp")) == token_count.Count(
        10, True, "the server's tokenizer"
    )
    by_sglang = counted("text", server.facts("sglang"))
    assert (by_sglang.tokens, by_sglang.exact) == (4 + 16, False)


def test_then_an_estimate(server: Server) -> None:
    """Marked; also when there is no server yet, and when it is gone."""
    for facts in (server.facts("openai-compatible"), None):
        count = counted(REPORT, facts)
        assert not count.exact and "estimate" in count.by and str(count).startswith("~")
    gone = ServerFacts("http://127.0.0.1:9", "sglang", "m", None)
    assert "estimate" in counted(REPORT, gone).by


def test_the_embedded_server_is_asked_without_a_key(tiny: Tiny, tmp_path: Path) -> None:
    """A `[server]` without URL has the key for any server here, but the embedded one needs none;
    its port may belong to another program by then."""
    (tmp_path / "key").write_text("key-of-the-test")
    (tmp_path / "config.toml").write_text('[server]\napi_key_file = "key"\n')
    settings = config.load({"KTJOB_CONFIG": str(tmp_path), "KTJOB_API_KEY": "another-key"})
    facts = tiny.facts("llama.cpp")
    token_count.best("A story.", replace(facts, is_embedded=True), settings)
    token_meter.meter("A story.", replace(facts, is_embedded=True), settings)
    assert set(tiny.keys) == {None}
    token_count.best("A story.", facts, settings)
    token_meter.meter("A story.", facts, settings)
    assert set(tiny.keys) == {None, "Bearer another-key"}


AWAY = ServerFacts("http://example.invalid", "sglang", "DeepSeek-V4-Flash", 1_048_576)
PROSE = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBERS = " ".join(str(number * 7919 % 1_000_003) for number in range(20_000))


@pytest.mark.parametrize("text", [PROSE * 40, NUMBERS * 4, PROSE * 20 + NUMBERS * 3])
def test_the_count_of_a_sample_is_near_the_whole(text: str) -> None:
    settings = config.load({"HOME": "/nowhere"})
    found = token_count.sampled(text, AWAY, settings)
    assert found is not None and not found.exact
    exact = token_count.best(text, AWAY, settings, may_ask=False)
    assert found.low < exact.tokens < found.high


def test_a_short_text_or_an_unknown_vocabulary_has_no_sample() -> None:
    settings = config.load({"HOME": "/nowhere"})
    assert token_count.sampled(PROSE[:1000], AWAY, settings) is None
    other = ServerFacts("http://example.invalid", "vllm", "no-such-model", 1_048_576)
    assert token_count.sampled(PROSE * 40, other, settings) is None
