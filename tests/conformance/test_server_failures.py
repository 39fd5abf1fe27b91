"""The real sglang-kt, made to fail: the doctor says so beforehand, and its log is explained.

Run by who names KTJOB_REAL_SGLANG: each start takes the server 10 to 30 s.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.machines import safetensors

from conformance.sglang_kt import START_SECONDS, VENV
from server_bundle import doctor
from server_bundle.doctor import Machine, Severity, command_line
from server_bundle.logs import explain

pytestmark = pytest.mark.real_sglang
ENVIRONMENT = {
    "SGLANG_USE_CPU_ENGINE": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
}
Folder = Callable[[Path], Path]


def words(model: Path, port: int, *more: str) -> list[str]:
    """The guide's deployment in miniature."""
    flags = f"""--device cpu --attention-backend torch_native --host 127.0.0.1 --port {port}
        --model {model} --context-length 4096 --max-total-tokens 8192 --skip-server-warmup
        --disable-overlap-schedule"""
    return [f"{VENV}/bin/python", "-m", "sglang.launch_server", *flags.split(), *more]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def log_of(command: list[str], log: Path) -> int:
    """Run a server to its end, which comes by itself; its exit status."""
    with log.open("wb") as file:
        server = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **ENVIRONMENT},
        )
    try:
        return server.wait(START_SECONDS)
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def copied(tmp_path: Path) -> Path:
    """The small model's folder, which has no weights."""
    folder = tmp_path / "model"
    folder.mkdir()
    for path in Path(f"{VENV}/model").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def damaged(tmp_path: Path) -> Path:
    folder = copied(tmp_path)
    file = folder / "model.safetensors"
    tensor = {"dtype": "F32", "shape": [1000, 1000], "data_offsets": [0, 4_000_000]}
    safetensors(file, {"model.embed_tokens.weight": tensor})
    with file.open("r+b") as opened:
        opened.truncate(5_000)
    return folder


def with_code(tmp_path: Path) -> Path:
    folder = copied(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    named = {"AutoConfig": "configuration_house.HouseConfig"}
    changed = {**config, "model_type": "house", "auto_map": named}
    (folder / "config.json").write_text(json.dumps(changed))
    (folder / "configuration_house.py").write_text("from transformers import LlamaConfig\n")
    return folder


DUMMY = ("--load-format", "dummy")
CASES: dict[str, tuple[Folder, tuple[str, ...], str | None]] = {
    "weights_missing": (copied, (), "no .safetensors in"),
    "weights_damaged": (damaged, (), "model.safetensors (another size"),
    "model_not_found": (lambda tmp_path: tmp_path / "no/such/folder", (), "does not exist"),
    "context_too_long": (copied, (*DUMMY, "--context-length", "9999999"), "9,999,999"),
    "bad_arguments": (copied, (*DUMMY, "--kt-cpu-infer", "60"), None),
    "remote_code_refused": (with_code, DUMMY, "the model contains its own Python code"),
}


@pytest.mark.parametrize("cause", CASES)
def test_a_failure_is_foretold_and_explained(cause: str, tmp_path: Path) -> None:
    """By its cause alone, whatever the exit status: sglang ends itself by SIGKILL."""
    folder, more, foretold = CASES[cause]
    command = words(folder(tmp_path), free_port(), *more)
    if foretold is not None:
        plan = command_line.plan_of(command, Machine())
        found = [one for one in doctor.examine(plan) if one.severity is not Severity.OK]
        assert any(foretold in one.found for one in found)
    log = tmp_path / "server.log"
    status = log_of(command, log)
    assert status != 0
    with log.open(errors="replace", newline="\n") as lines:
        explained = explain.explain(lines, status)
    assert [one.cause.id for one in explained.found] == [cause]


def test_a_port_in_use_is_foretold_and_explained(tmp_path: Path) -> None:
    """The server says that it is ready, and then that it is not."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = words(copied(tmp_path), taken.getsockname()[1], *DUMMY)
        plan = command_line.plan_of(command, Machine())
        found = [one for one in doctor.examine(plan) if one.severity is Severity.ERROR]
        assert [one.about for one in found] == ["port"]
        log = tmp_path / "server.log"
        log_of(command, log)
    text = log.read_text(errors="replace")
    assert text.index("fired up and ready to roll") < text.index("[Errno 98]")
    assert [one.cause.id for one in explain.explain(text.split("\n")).found] == ["port_in_use"]
