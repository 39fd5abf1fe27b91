"""Each client in one process that does all that its users do, and prints what it got."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.gateway import gateway

from jobs.store.state_dir import StateDir

PROGRAMS = Path(__file__).parent / "programs"
ANSWER = "It ends well."
PERSON = f"name='{ANSWER}'"
"""The scripted server fills each field of a schema with its answer."""
READING = "1250"
"""Tokens a second: a greeting is read immediately, `SLOW` in two seconds."""
SLOW = "slow slow"
PATIENCE_SECONDS = "0.5"
"""How long LangChain waits for a chunk; the gateway says something five times as often."""
SILENT = ("--quick-seconds", "600", "--comment-seconds", "600")
"""For plain answers: nothing keeps a client that gives up after a second."""
LIVELY = ("--comment-seconds", "0.05", "--progress-seconds", "0.1")

pytestmark = pytest.mark.long


@dataclass(frozen=True)
class Lab:
    """A gateway's root URL, and the server behind it."""

    url: str
    server: FakeServer

    def prefills(self, text: str) -> int:
        """How many requests with this text the server got."""
        return sum(text in json.dumps(body) for body in self.server.requests())


@pytest.fixture
def lab(
    request: pytest.FixtureRequest, state: StateDir, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """The gateway with the options of the test's parameter."""
    folder = tmp_path_factory.mktemp("server")
    options = ("--answer", ANSWER, "--rate", READING, "--ghost", "off", "--max-running", "8")
    with (
        fake_sglang(folder, *options) as server,
        gateway(state, server.url, *request.param) as one,
    ):
        yield Lab(one.url, server)


def said(*command: str | Path, **environment: str) -> str:
    """What a client printed."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def told(*command: str | Path, **environment: str) -> dict[str, Any]:
    """The JSON on the last line."""
    found: dict[str, Any] = json.loads(said(*command, **environment).splitlines()[-1])
    return found


@pytest.mark.promise
@pytest.mark.parametrize("lab", [SILENT], indirect=True)
def test_openai_python(lab: Lab) -> None:
    """Sync and async, raw and by helpers; background, files, batches, errors, its own retries."""
    found = told(sys.executable, PROGRAMS / "openai_python.py", lab.url)
    wrong = {name: value for name, value in found.items() if value != OPENAI_PYTHON.get(name)}
    assert wrong == {} and found.keys() == OPENAI_PYTHON.keys()
    assert lab.prefills(SLOW) == 1  # though its client gave up once a second


OPENAI_PYTHON: dict[str, Any] = {
    **dict.fromkeys(("chat plain", "chat raw stream", "chat stream", "chat helper"), ANSWER),
    **dict.fromkeys(("chat usage", "chat named", "chat one id", "chat usage last"), True),
    "chat parsed": PERSON,
    **dict.fromkeys(("response plain", "response helper"), ANSWER),
    "response metadata": {"a": "b"},
    "response numbers": True,
    "response ends": ["response.created", "response.completed"],
    "response parsed": PERSON,
    "response follows": True,
    "response input": ["message", "message", "message"],
    "response deleted": ["NotFoundError", "not_found", None],
    **dict.fromkeys(("background resumed", "background replayed", "background at once"), True),
    "background polled": ["completed", ANSWER],
    **dict.fromkeys(("background cancelled", "background cancelled twice"), "cancelled"),
    "file": ["in.jsonl", True, "batch"],
    **dict.fromkeys(("file content", "file listed", "file deleted"), True),
    "batch": ["completed", 3, 0],
    "batch answers": 3,
    "error too long": ["BadRequestError", "context_length_exceeded", "messages"],
    "error bad field": ["BadRequestError", "invalid_type", "temperature"],
    "error no model": ["NotFoundError", "model_not_found", "model"],
    **{
        f"error no {name}": ["NotFoundError", "not_found", None]
        for name in ("response", "file", "batch")
    },
    "retried chat": ANSWER,
    **dict.fromkeys(("async chat", "async response"), ANSWER),
    "async together": 4,
}


@pytest.mark.parametrize("lab", [SILENT], indirect=True)
@pytest.mark.node
def test_openai_node(lab: Lab, node_program: Path) -> None:
    found = told("node", node_program, lab.url)
    deleted = found.pop("deleted")
    assert deleted["deleted"] is True and deleted["object"] == "response"
    assert found == {
        **dict.fromkeys(("chat plain", "chat stream", "chat helper"), ANSWER),
        **dict.fromkeys(("response plain", "response helper"), ANSWER),
        "response ends": ["response.created", "response.completed"],
        "background": ["completed", ANSWER],
        "replayed": True,
        "batch": ["completed", ANSWER],
        "error": ["NotFoundError", 404, "model_not_found", "model"],
        "retried chat": ANSWER,
    }
    assert lab.prefills(SLOW) == 1


@pytest.mark.parametrize("lab", [LIVELY], indirect=True)
def test_llm(lab: Lab, client_python: Path, tmp_path: Path) -> None:
    """Its models are named in a file; without stream it needs a usage."""
    (tmp_path / "extra-openai-models.yaml").write_text(
        "- model_id: long\n  model_name: DeepSeek-V4-Flash\n"
        f"  api_base: {lab.url}/v1\n  api_key_name: ktjob\n"
    )
    home = {"LLM_USER_PATH": str(tmp_path)}
    llm = client_python.parent / "llm"
    said(llm, "keys", "set", "ktjob", "--value", "any", **home)
    for how in ((), ("--no-stream",)):
        assert said(llm, "-m", "long", *how, "hello", **home).strip() == ANSWER


@pytest.mark.parametrize("lab", [LIVELY], indirect=True)
def test_litellm_sdk(lab: Lab, client_python: Path) -> None:
    found = told(
        client_python,
        PROGRAMS / "litellm_sdk.py",
        lab.url,
        LITELLM_LOCAL_MODEL_COST_MAP="True",
    )
    assert found == {
        **dict.fromkeys(("chat plain", "chat stream", "async stream"), ANSWER),
        "chat usage": True,
        **dict.fromkeys(("response plain", "response stream"), ANSWER),
        "response ends": ["response.created", "response.completed"],
        "error too long": "ContextWindowExceededError",
    }


@pytest.mark.parametrize("lab", [LIVELY], indirect=True)
def test_langchain_openai(lab: Lab, client_python: Path) -> None:
    """Its async stream takes only chunks for a sign of life, not comments."""
    program = PROGRAMS / "langchain_openai_chat.py"
    assert told(client_python, program, lab.url, PATIENCE_SECONDS) == {
        **dict.fromkeys(("invoke", "stream", "responses", "async"), ANSWER),
        "usage": True,
        "structured": PERSON,
        "too long": "OpenAIContextOverflowError",
    }
