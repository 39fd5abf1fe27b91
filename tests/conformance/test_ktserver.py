"""`ktserver` and the real sglang-kt 0.7.2: started, followed to READY, read, warmed and stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from support.serving import Lab, free_port

from conformance import sglang_kt
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from server_bundle.launch import process_tree
from server_bundle.plan.launch_plan import LaunchPlan

pytestmark = [pytest.mark.real_sglang, pytest.mark.timeout(900)]
Until = Callable[..., object]


def real_plan() -> LaunchPlan:
    """As sglang_kt.command, without its key; the environment is the child's only."""
    assert sglang_kt.VENV is not None
    port = free_port()
    command = sglang_kt.command(Path(sglang_kt.VENV), port, Path("none"))
    at = command.index("--config")
    argv = (*command[:at], *command[at + 2 :])
    return LaunchPlan(
        profile="real",
        engine="sglang-kt",
        version="0.7.2",
        python=argv[0],
        model=str(Path(sglang_kt.VENV) / "model"),
        served_name="DeepSeek-V4-Flash",
        host="127.0.0.1",
        port=port,
        prefix=(),
        argv=argv,
        environment=dict(sglang_kt._OFFLINE),
        context=sglang_kt.WINDOW,
        planned_pool=sglang_kt.POOL,
        warmup_tokens=2048,
        gpus=0,
        ready_seconds=sglang_kt.START_SECONDS,
    )


@pytest.fixture
def lab(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr("support.serving.SECONDS", sglang_kt.START_SECONDS)
    return Lab(state)


def test_started_read_warmed_and_stopped(lab: Lab) -> None:
    """Stages, figures, the warm-up's own count, and nothing left of its schedulers."""
    plan = real_plan()
    up = lab.up(plan)
    print(up.stderr)
    assert (up.returncode, up.stdout.strip()) == (0, plan.url)
    for told in ("loading weights", "opening its port", "warmed up with", "pool (24,000 tokens)"):
        assert told in up.stderr
    note = lab.note("real")
    assert (note.pool, note.window) == (sglang_kt.POOL, sglang_kt.WINDOW)
    assert note.figures["chunk"] == sglang_kt.CHUNK
    assert len(note.members) >= 3  # the server, its scheduler and its detokenizer
    told = json.loads(lab.run("status", "--json").stdout)
    assert told["state"] == "ready" and told["load"]["running"] == 0
    down = lab.run("down")
    print(down.stderr)
    assert down.returncode == 0 and not process_tree.members(note.members)
    assert lab.run("status").returncode == 6


def test_a_hung_drain_is_bounded_and_a_killed_keeper_changes_nothing(
    lab: Lab, until: Until
) -> None:
    """A client that leaves in mid-prefill is waited for by sglang-kt until its ghost has ended."""
    plan = real_plan()
    assert lab.up(plan, "--no-warm-up").returncode == 0
    keeper = lab.note("real").keeper
    os.kill(keeper.pid, signal.SIGKILL)
    until(lambda: not identity.is_same_process_alive(keeper))
    assert lab.run("status").returncode == 0
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "The ferry was late again. " * 3000}],
        "max_tokens": 4000,
        "ignore_eos": True,
    }
    request = urllib.request.Request(
        f"{plan.url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )

    def ask() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):  # it dies of our stop
            urllib.request.urlopen(request, timeout=300).read()

    client = threading.Thread(target=ask)
    client.start()
    until(lambda: "Prefill batch" in lab.log("real"))
    members = lab.seen("real").server.members
    down = lab.run("down", "--timeout", "7")
    print(down.stderr)
    client.join()
    assert down.returncode == 0 and "that had to be killed" in down.stderr
    assert not process_tree.members(members)
    assert "Remaining number of requests 1" in lab.log("real")
