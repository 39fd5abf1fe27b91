"""`ktserver up --gguf`: any GGUF file on the real llama.cpp; the file is the embedded model's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.serving import free_port

from jobs.store.state_dir import StateDir
from ktclient import submit_long
from server_bundle.embedded import weights

KEY = "sk-of-a-test"


def ktserver(*words: str) -> subprocess.CompletedProcess[str]:
    code = "from ktclient.cli.ktserver import main; main()"
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)


def shown_by_status() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ktserver("status", "--json").stdout)
    return found


@pytest.mark.promise
def test_a_gguf_file_is_a_server_like_any_other(
    state: StateDir,
    model_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    until: Callable[..., object],
) -> None:
    """Started, asked, shown and stopped; with the file's own sampling, and with the key that is
    configured for it, which no process list shows."""
    file = tmp_path / "a model.gguf"
    file.symlink_to(model_cache / "models" / weights.SMOLLM2.file_name)
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("KTJOB_SERVER", url)
    monkeypatch.setenv("KTJOB_API_KEY", KEY)
    options = ("--context", "2048", "--parallel", "2", "--port", url.rpartition(":")[2])
    try:
        up = ktserver("up", "--gguf", str(file), *options)
        assert (up.returncode, up.stdout) == (0, f"{url}\n"), up.stderr
        again = ktserver("up", "--gguf", str(file), *options)
        assert "already started" in again.stderr

        assert httpx2.get(f"{url}/props", trust_env=False).status_code == 401
        headers = {"Authorization": f"Bearer {KEY}"}
        props = httpx2.get(f"{url}/props", headers=headers, trust_env=False).json()
        served = props["default_generation_settings"]
        assert (props["total_slots"], served["n_ctx"]) == (2, 2048)
        assert served["params"]["repeat_penalty"] == 1.0, "SmolLM2's penalties stay with it"
        assert served["params"]["temperature"] > 0

        job = submit_long("The ferry was late again.\n", ask="What was late?", max_tokens=8)
        assert job.result()
        assert job.status().model == "a model"

        # llama.cpp sends the end of an answer before its slot is free: until then it is busy.
        until(lambda: shown_by_status()["state"] == "ready")
        seen = shown_by_status()
        assert (seen["engine"], seen["model"]) == ("llama.cpp", "a model")
        shown = ktserver("status").stderr
        assert "load" in shown and "unknown" not in shown and "KV pool" not in shown
        pid = seen["server"]["pid"]
        assert KEY.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert KEY not in Path(seen["log"]).read_text(errors="replace")
    finally:
        down = ktserver("down", "gguf")
    assert down.returncode == 0, down.stderr


def test_options_of_another_engine_are_refused() -> None:
    """And llama.cpp's own without a file."""
    for words, said in (
        (("--gguf", "x.gguf", "--mem-fraction", "0.5"), "--gguf takes no --mem-fraction"),
        (("--gguf", "x.gguf", "--profile", "embedded"), "--gguf takes no --profile"),
        (("--parallel", "2"), "--parallel is for --gguf FILE"),
        (("--gguf", "missing.gguf"), "cannot read --gguf missing.gguf"),
    ):
        done = ktserver("up", *words)
        assert done.returncode == 2 and said in done.stderr, done.stderr
