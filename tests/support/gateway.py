"""A gateway as a process of its own: `ktjob serve`, in front of a server of a test.

with gateway(state, server.url) as one:
    httpx2.get(f"{one.url}/healthz")
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai

from jobs.store.state_dir import StateDir
from support.patience import HANG_SECONDS

CONSTANTS = """
import importlib, json, sys
for name, value in json.loads(sys.argv.pop(1)).items():
    module = importlib.import_module(name.rpartition(".")[0])
    assert hasattr(module, name.rpartition(".")[2]), name
    setattr(module, name.rpartition(".")[2], value)
"""
"""Sets each constant of a module that a test names, before the gateway starts."""
SERVE = [sys.executable, "-c", "from ktclient.cli.ktjob import main; main()", "serve"]
_LISTENING = "listening on "
QUICK = "--quick-seconds"
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Serving:
    """A running gateway. `url` is its root, without /v1."""

    url: str
    process: subprocess.Popen[str]
    log: Path
    """What it has printed."""
    _clients: ExitStack

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, key: str = "any", **options: Any) -> openai.OpenAI:
        """openai's client, which tries once and is closed with the gateway: each holds a connection
        and is in a cycle, which the garbage collector would find during another test."""
        asked = {"max_retries": 0, **options}
        return self._clients.enter_context(
            openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, **asked)
        )

    def shared_client(self) -> openai.OpenAI:
        """The same for several tests, none of which may leave a connection open."""
        return self.client(default_headers={"connection": "close"})

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.kill()
        self.process.wait(HANG_SECONDS)


@contextmanager
def gateway(
    state: StateDir,
    server: str,
    *options: str,
    port: int = 0,
    constants: Mapping[str, float] | None = None,
    **environment: str,
) -> Iterator[Serving]:
    """`ktjob serve` with these options, until the block ends. What it prints goes to
    `gateway.NUMBER.txt` beside the state directory. `constants`: other values than those in the
    code, by "module.NAME". Without `QUICK` in the options, a plain answer keeps its status and its
    headers on a machine of any load."""
    folder = Path(state.root.parent)
    log = folder / f"gateway.{len(list(folder.glob('gateway.*.txt')))}.txt"
    given = {"KTJOB_HOME": str(state.root), "KTJOB_SERVER": server, **environment}
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            [*_serve(constants or {}), "--port", str(port), *_options(options)],
            env={**os.environ, **given},
            stdin=subprocess.DEVNULL,
            stderr=out,
            stdout=out,
            text=True,
        )
    try:
        with ExitStack() as clients:
            yield Serving(_announced(process, log), process, log, clients)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(HANG_SECONDS)
        finally:
            process.kill()


def _options(given: Sequence[str]) -> list[str]:
    """Those of the test; unless it says otherwise, no answer begins before its job is stored,
    however slow the machine is: then its headers say all."""
    quick = () if QUICK in given else (QUICK, f"{HANG_SECONDS:g}")
    return [*given, *quick]


def _serve(constants: Mapping[str, float]) -> list[str]:
    python, flag, code, *words = SERVE
    return [python, flag, f"{CONSTANTS}{code}", json.dumps(dict(constants)), *words]


def _announced(process: subprocess.Popen[str], log: Path) -> str:
    deadline = time.monotonic() + HANG_SECONDS
    while time.monotonic() < deadline:
        is_over = process.poll() is not None
        said = log.read_text(encoding="utf-8")
        if _LISTENING in said and said.endswith("\n"):
            return said.partition(_LISTENING)[2].split()[0].removesuffix("/v1")
        assert not is_over, f"the gateway did not start: {said}"
        time.sleep(LOOK_SECONDS)
    raise AssertionError(f"the gateway said nothing: {log.read_text(encoding='utf-8')}")
