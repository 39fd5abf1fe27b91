"""A real llama.cpp that has unloaded its model: a look does not wake it, a job does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from support.commands import Run
from support.llama_server import llama_server

Until = Callable[..., object]


def sleeps(url: str) -> bool:
    return httpx2.get(f"{url}/props", trust_env=False).json()["is_sleeping"] is True


@pytest.mark.promise
def test_check_and_submit_leave_it_asleep_and_say_so(
    run: Run, tmp_path: Path, model_cache: Path, until: Until
) -> None:
    """Though the limit is close, where the server would count. Then the job wakes it."""
    (tmp_path / "text").write_text("The ferry to the island was late again.\n" * 40)
    weights = next(model_cache.rglob("*.gguf"))
    with llama_server(weights, 1024, 1, sleep_seconds=1) as url:
        until(lambda: sleeps(url))
        ask = ("text", "--ask", "What was late?", "--max-tokens", "8", "--server", url)
        looked = run("check", *ask)
        assert looked.returncode == 0 and sleeps(url), looked.stderr
        assert "server asleep: it loads its model first" in looked.stderr
        assert "is not woken" in looked.stderr
        held = run("submit", *ask, "--at", "+1h")
        assert sleeps(url) and "server asleep" in held.stderr
        facts = json.loads(run("check", *ask, "--json").stdout)["facts"]
        assert facts["is_asleep"] is True and facts["window"] == 1024
        done = run("submit", *ask, "--ask", "And why?", "--wait", "--json")
        assert done.returncode == 0, done.stderr
        first = json.loads(done.stdout)[0]
        assert "server asleep" in run("show", first["id"]).stdout
