"""The real sglang-kt 0.7.2 on a CPU, started and stopped by the tests that are asked to.

KTJOB_REAL_SGLANG names a virtual environment with sglang-kt, CPU torch and, in its folder `model`,
a small model with random weights and the tokenizer of DeepSeek V4. Its idle scheduler holds a whole
core: it is stopped as soon as the tests end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from server_bundle.plan import key_file, sglang_entry

VARIABLE = "KTJOB_REAL_SGLANG"
VENV = os.environ.get(VARIABLE)
"""Read once: tests run without any variable of ktjob's."""
START_SECONDS = 300.0
STOP_SECONDS = 20.0
WINDOW = 32_768
POOL = 24_000
CHUNK = 1_024
RUNNING = 2
_OFFLINE = {
    "SGLANG_USE_CPU_ENGINE": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
}


def not_asked_for() -> str | None:
    """Why its tests are not run; None when they are."""
    if VENV:
        return None
    return f"{VARIABLE} names no virtual environment with the real sglang-kt"


def command(venv: Path, port: int, key: Path) -> list[str]:
    """The deployment guide's flags, as far as a CPU has them, and in miniature."""
    model = str(venv / "model")
    return [
        *(str(venv / "bin" / "python"), "-W", "ignore", sglang_entry.__file__),
        *("--device", "cpu", "--attention-backend", "torch_native", "--load-format", "dummy"),
        *("--host", "127.0.0.1", "--port", str(port), "--config", str(key)),
        *("--model", model, "--served-model-name", "DeepSeek-V4-Flash"),
        *("--context-length", str(WINDOW), "--max-total-tokens", str(POOL)),
        *("--chunked-prefill-size", str(CHUNK), "--max-prefill-tokens", str(CHUNK)),
        *("--max-running-requests", str(RUNNING), "--watchdog-timeout", "1200"),
        *("--disable-radix-cache", "--skip-server-warmup", "--disable-overlap-schedule"),
    ]


@contextlib.contextmanager
def real_sglang(folder: Path, key: str) -> Iterator[str]:
    """Its URL, once it answers, with its key as `ktserver plan` gives it. Its log is
    FOLDER/sglang.log."""
    assert VENV is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", folder / "sglang.log"
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            command(Path(VENV), port, key_file.write(folder, key)),
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_OFFLINE},
            start_new_session=True,
        )
    try:
        wait_until_it_answers(process, f"{url}/health", log)
        yield url
    finally:
        stop(process)


def wait_until_it_answers(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        try:
            with urllib.request.urlopen(url, timeout=30):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.5)  # the start of another program gives no event
    raise RuntimeError(f"it did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Bounded: SIGTERM never ends it when a queued request's client has gone."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its session: the scheduler and the others, too
    process.wait()
