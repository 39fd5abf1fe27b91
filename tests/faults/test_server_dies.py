"""What happens to the server in the middle of a request: stopped for a while (the scripted one),
and killed with -9 (the real llama.cpp)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, submit_long
from server_bundle.embedded import server as embedded

KILLING = Path(__file__).parents[1] / "support" / "killing"
Until = Callable[..., object]


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed worker's job rests for a moment only."""
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    constants = "jobs.runner.loop.REST_SECONDS=0.1,jobs.runner.loop.TICK_SECONDS=0.1"
    monkeypatch.setenv("KTJOB_CONSTANTS", constants)


def kill_server(state: StateDir) -> int:
    running = embedded.status(state.server)
    assert running is not None
    os.kill(running.process.pid, signal.SIGKILL)
    return running.process.pid


def kill_worker(state: StateDir, job: Job) -> None:
    with Store.open(state) as store:
        attempt = store.attempt(store.job(job.id))
    assert attempt is not None
    os.kill(attempt.worker.pid, signal.SIGKILL)


def is_in_prefill(job: Job, attempt: int) -> bool:
    now = job.status()
    return now.attempt == attempt and now.phase == "prefill" and bool(now.done)


def has_text(state: StateDir, job: Job, attempt: int) -> bool:
    with Store.open(state) as store:
        return bool(store.pieces(job.id, attempt))


def test_a_server_that_stands_still_for_a_while_loses_nothing(
    tmp_path: Path, state: StateDir
) -> None:
    """SIGSTOP in mid-prefill, SIGCONT later: the same request, whole."""
    with fake_sglang(tmp_path, "--answer", "Whole.") as server:
        server.hold()
        job = submit_long("x" * 81_920, server=server.url)
        server.wait_for_event("prefill_started")
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(2)  # the fault itself
        assert job.status().state == "RUNNING"
        server.process.send_signal(signal.SIGCONT)
        server.let_go()
        assert job.result() == "Whole."
        assert len(server.requests()) == 1
    assert job.status().attempt == 1


def test_llama_cpp_and_then_the_worker_are_killed_and_the_third_attempt_is_whole(
    state: StateDir,
    report: Path,
    cache_env: dict[str, str],
    until: Until,
    quickly: None,
) -> None:
    """The server in mid-prefill: it is started again for the next attempt. The worker in decode:
    the next attempt finds the server silent."""
    text = report.read_text()[:4000]
    job = submit_long(text, max_tokens=24, server="embedded", max_attempts=3)
    until(lambda: is_in_prefill(job, 1))
    killed = kill_server(state)
    until(lambda: has_text(state, job, 2))
    reborn = embedded.status(state.server)
    assert reborn is not None and reborn.process.pid != killed
    kill_worker(state, job)
    assert job.result().strip()
    assert job.status().attempt == 3
    with Store.open(state) as store:
        events = store.events(job.id)
        assert store.pieces(job.id, 2), "the text of the killed attempt is kept"
    causes = [one.data["cause"] for one in events if one.kind == "queued again"]
    assert causes == ["server_died", "worker_died"]


def test_llama_cpp_is_killed_in_decode_and_the_text_is_kept(
    state: StateDir, cache_env: dict[str, str], until: Until
) -> None:
    """With one attempt it is FAILED, says so, and shows what had arrived."""
    job = submit_long(
        "The harbour is old.\n", prompt="Go on.", max_tokens=900, server="embedded", max_attempts=1
    )
    until(lambda: has_text(state, job, 1))
    kill_server(state)
    with pytest.raises(errors.JobFailed) as failed:
        job.result()
    assert failed.value.partial_text.strip()
    assert (job.status().cause, job.status().attempt) == ("server_died", 1)
