"""The servers, each started once, at the first test that wants it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang

from conformance import real_vllm, sglang_kt
from ktclient.servers import probe
from ktclient.servers.dialects.dialect import ServerFacts
from server_bundle.embedded import server as embedded

KEY = "sk-conformance"


@dataclass(frozen=True)
class Server:
    """One server under test. Sizes in tokens; `prompt` makes a text of about so many."""

    name: str
    facts: ServerFacts
    key: str | None
    long: int
    """Its prefill takes some seconds, in many chunks."""
    pool: int | None
    has_ghosts: bool
    """Whether it computes a prompt to its end although nobody wants it."""

    @property
    def is_sglang(self) -> bool:
        return self.facts.dialect == "sglang"

    def prompt(self, tokens: int) -> str:
        """4.5 characters of English to a token, in round figures, for every tokenizer here."""
        return ("The ferry was late again this morning, and nobody knew why. " * 13)[:780] * max(
            1, tokens // 170
        )


Start = Callable[[Path, contextlib.ExitStack], Server]


def _double(flavour: str, speed: int = 8) -> Start:
    def start(folder: Path, stack: contextlib.ExitStack) -> Server:
        options = (
            *("--flavour", flavour, "--require-key", KEY, "--rate", "4000:1500@16000"),
            *("--window", str(sglang_kt.WINDOW), "--pool", str(sglang_kt.POOL)),
            *("--chunk", str(sglang_kt.CHUNK), "--max-running", str(sglang_kt.RUNNING)),
            *("--page", "1", "--real-notice", "--speed", str(speed)),
        )
        server = stack.enter_context(fake_sglang(folder, *options))
        facts = probe.probe(server.url, KEY)
        return Server(f"double {flavour}", facts, KEY, 16_000, sglang_kt.POOL, flavour == "kt")

    return start


def _real_sglang(folder: Path, stack: contextlib.ExitStack) -> Server:
    url = stack.enter_context(sglang_kt.real_sglang(folder, KEY))
    facts = probe.probe(url, KEY)
    return Server("sglang-kt 0.7.2", facts, KEY, 16_000, sglang_kt.POOL, True)


def _real_vllm(folder: Path, stack: contextlib.ExitStack) -> Server:
    url = stack.enter_context(real_vllm.real_vllm(folder, KEY))
    return Server("vLLM 0.32.0", probe.probe(url, KEY), KEY, 24_000, None, False)


def _llama(cache: Path) -> Start:
    def start(folder: Path, stack: contextlib.ExitStack) -> Server:
        running = embedded.ensure_up(folder, cache, lambda what, done, total: None)
        stack.callback(embedded.down, folder)
        return Server("llama.cpp", probe.probe(running.url, None), None, 2_000, None, False)

    return start


class Servers:
    """Started ones by name; all are stopped together."""

    def __init__(self, base: Path, cache: Path, stack: contextlib.ExitStack) -> None:
        self._base = base
        self._stack = stack
        self._started: dict[str, Server] = {}
        self._starts: dict[str, Start] = {
            "kt": _double("kt"),
            "upstream": _double("upstream"),
            "kt, slow": _double("kt", 3),
            "upstream, slow": _double("upstream", 3),
            "llama.cpp": _llama(cache),
            "real": _real_sglang,
            "vllm": _real_vllm,
        }

    def folder(self, name: str) -> Path:
        """Where it leaves its files."""
        return self._base / name

    def get(self, name: str) -> Server:
        """The server of this name, started first if need be."""
        if name not in self._started:
            folder = self.folder(name)
            folder.mkdir(mode=0o700)
            self._started[name] = self._starts[name](folder, self._stack)
        return self._started[name]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[Servers]:
    with contextlib.ExitStack() as stack:
        yield Servers(tmp_path_factory.mktemp("servers"), model_cache, stack)


DOUBLES = ("kt", "upstream")
REAL = pytest.param("real", marks=pytest.mark.real_sglang)


@pytest.fixture(params=[*DOUBLES, "llama.cpp", REAL])
def server(request: pytest.FixtureRequest, servers: Servers) -> Server:
    """Every server."""
    return servers.get(request.param)


@pytest.fixture(params=[*DOUBLES, REAL])
def sglang(request: pytest.FixtureRequest, servers: Servers) -> Server:
    """Every sglang."""
    return servers.get(request.param)
