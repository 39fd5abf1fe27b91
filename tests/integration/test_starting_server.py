"""Jobs for a server that `ktserver` is starting: taken at once, and sent when it listens."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang import hold
from support.serving import Lab

from jobs.model import Status
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, submit_long
from ktclient.config import settings as config
from ktclient.servers import selection

Until = Callable[..., object]
KILLING = Path(__file__).parents[1] / "support" / "killing"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that waits for no server but for one that is being started."""
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    monkeypatch.setenv("KTJOB_CONSTANTS", "ktclient.worker.retry.AWAY_SECONDS=0.05")


def was_refused(state: StateDir, job: Job) -> bool:
    with Store.open(state) as store:
        return any(event.kind == "not accepted" for event in store.events(job.id))


def test_while_it_loads(
    state: StateDir, until: Until, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    """Named or not: no embedded one is taken in its place. The worker waits for as long as the
    start takes."""
    lab = Lab(state)
    plan = lab.plan("--answer", "Loaded.")
    is_held = lab.record() / "hold-start"
    hold.write(is_held, 0)
    with lab.starting("up", "--plan", lab.file(plan), "--no-warm-up", "--no-check"):
        until(lambda: lab.state_of() == "starting")
        monkeypatch.setattr(selection, "WELL_KNOWN_PORTS", (plan.port,))
        found = selection.choose(config.load(), None, None)
        assert (found.server, found.window) == (plan.url, plan.context)
        assert "your server 'fake' is starting" in found.why
        job = submit_long("It was a dark night.", server=plan.url)
        until(lambda: was_refused(state, job))
        is_held.unlink()
        assert job.result() == "Loaded."
    assert job.status().attempt == 1
    assert lab.run("down").returncode == 0


@pytest.mark.promise
def test_a_job_says_who_starts_its_server_again(state: StateDir, until: Until) -> None:
    """Not the user, where its supervisor does."""
    lab = Lab(state, ("server_bundle.launch.backoff:FIRST_SECONDS=600",))
    plan = lab.plan("--prefill-seconds", "600", "--tokens-per-char", "4096")
    started = lab.up(plan, "--no-warm-up", "--restart", "on-failure")
    assert started.returncode == 0, started.stderr
    job = submit_long("It was a dark night.", server=plan.url, max_attempts=1)
    lab.engine().wait_for_event("prefill_started")
    server = lab.note().server
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(errors.JobFailed, match="ktserver starts 'fake' again"):
        job.result()
    until(lambda: lab.state_of() == "waiting")
    assert "starts again at" in (told := lab.run("status").stderr)
    assert "it died: " in told
    assert lab.run("down").returncode == 0


@pytest.mark.promise
def test_while_it_is_to_be_started_again(
    state: StateDir, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash. Once it will not come any more, nothing is stored."""
    lab = Lab(state, ("server_bundle.launch.backoff:FIRST_SECONDS=2",))
    plan = lab.plan("--answer", "Again.")
    started = lab.up(plan, "--no-warm-up", "--restart", "on-failure")
    assert started.returncode == 0, started.stderr
    server = lab.note().server
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: lab.state_of() == "waiting")
    job = submit_long("It was a dark night.", server=f"{plan.url}/v1")
    assert job.result() == "Again."
    keeper, server = lab.note().keeper, lab.note().server
    assert server is not None
    for one in (keeper, server):
        os.kill(one.pid, signal.SIGKILL)
    until(lambda: lab.state_of() == "crashed")
    monkeypatch.setattr(selection, "WELL_KNOWN_PORTS", (plan.port,))
    assert (
        "'fake' has crashed: ktserver explain fake"
        in selection.choose(config.load(), None, None).why
    )
    with pytest.raises(errors.ConnectionRefused):
        submit_long("It was a dark night.", server=plan.url)
    with Store.open(state) as store:
        assert [one.id for one in store.in_status(Status.FINISHED)] == [job.id]
