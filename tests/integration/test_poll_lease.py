"""Several requests to one server: one of their workers asks it how far it is, for all of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang

from jobs.model import Identity
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, submit_long
from ktclient.servers.poll_lease import key_of

Until = Callable[..., object]
EVERY = 0.5
PERIODS = 8
JOBS = 4
SLOW = ("--rate", "500", "--chunk", "64", "--max-running", str(JOBS))
"""An eighth of a second a chunk, so that four could ask far more; and minutes for each prompt."""
PATHS = {"metrics": "/metrics", "loads": "/v1/loads"}


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch, ktjob_home: Path) -> None:
    """Every half second instead of every two or five."""
    support = Path(__file__).parents[1] / "support" / "killing"
    monkeypatch.setenv("PYTHONPATH", str(support))
    constants = (
        f"ktclient.servers.watcher.METRICS_SECONDS={EVERY},ktclient.servers.watcher.LOADS_SECONDS={EVERY},"
        "ktclient.worker.reporter.WRITE_SECONDS=0.2"
    )
    monkeypatch.setenv("KTJOB_CONSTANTS", constants)


@contextmanager
def serving_four(tmp_path: Path, *options: str) -> Iterator[tuple[FakeServer, list[Job]]]:
    config = tmp_path / "config" / "config.toml"
    config.parent.mkdir()
    with fake_sglang(tmp_path, *SLOW, *options) as server:
        config.write_text(f'[server]\nurl = "{server.url}"\nparallel = {JOBS}\n')
        submit_long("warm up").wait()  # /metrics counts from the first prefill on
        yield server, [submit_long(f"{number}" * 400_000) for number in range(JOBS)]


def looks(server: FakeServer, source: str) -> list[float]:
    return [float(one["t"]) for one in server.events("asked", path=PATHS[source])]


def shown_at(job: Job) -> object:
    """When a worker last wrote what it knew of its prefill, once it knew where from."""
    figures = job.status().figures
    return figures.get("eta_at") if figures.get("progress_source") else None


@pytest.mark.promise
@pytest.mark.parametrize("source", ["metrics", "loads"])
@pytest.mark.long
def test_four_workers_ask_no_more_than_one(
    tmp_path: Path, until: Until, state: StateDir, source: str
) -> None:
    """The requests that reach the server are counted; all four show progress from them. Then the
    one that asks is killed: within moments another does, and the rest go on."""
    options = ("--metrics",) if source == "metrics" else ()
    with serving_four(tmp_path, *options) as (server, jobs):
        until(lambda: all(shown_at(job) for job in jobs))
        begun, before = time.monotonic(), len(looks(server, source))
        until(lambda: len(looks(server, source)) >= before + PERIODS)
        asked = sum(begun < moment for moment in looks(server, source))
        assert asked <= (time.monotonic() - begun) / EVERY + 1

        first = _holder(state, server)
        others = [job for job in jobs if _worker_of(state, job) != first]
        assert len(others) == JOBS - 1
        os.kill(first.pid, signal.SIGKILL)
        killed, told_then = time.monotonic(), {job.id: shown_at(job) for job in jobs}
        second = until(lambda: _next_holder(state, server, first))
        assert isinstance(second, Identity) and second.pid != first.pid
        until(lambda: any(moment > killed for moment in looks(server, source)))
        until(lambda: all(shown_at(job) != told_then[job.id] for job in others))


def _worker_of(state: StateDir, job: Job) -> Identity:
    with Store.open(state) as store:
        attempt = store.attempt(store.job(job.id))
    assert attempt is not None
    return attempt.worker


def _holder(state: StateDir, server: FakeServer) -> Identity:
    found = identity.holder(state.watch_lock(key_of(server.url)))
    assert found is not None
    return found


def _next_holder(state: StateDir, server: FakeServer, before: Identity) -> Identity | None:
    found = identity.holder(state.watch_lock(key_of(server.url)))
    return found if found != before else None
