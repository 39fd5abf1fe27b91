"""A cancel of a job whose worker does not act on it: stopped, or computing in C with Python's lock.

Real workers (tests/support/killing makes one get stuck), with shorter waits than the product's.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support import standing_still

from jobs.model import Attempt
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import overdue
from ktclient import Job, submit_long

Until = Callable[..., object]
KILLING = Path(__file__).parents[1] / "support" / "killing"
SOON = ",".join(f"jobs.worker.overdue.{name}=1" for name in ("NOTICE_SECONDS", "KILL_SECONDS"))


@pytest.fixture
def stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that makes workers get stuck. For the runner, cancels are overdue after a second."""
    marker = tmp_path / "stuck"
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    monkeypatch.setenv("KTJOB_CONSTANTS", SOON)
    monkeypatch.setenv("KTJOB_STUCK", str(marker))
    return marker


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    """Writes a quarter of an hour, for one client at a time."""
    options = ("--prefill-seconds", "0.1", "--flavour", "upstream", "--max-running", "1")
    words = ("--answer", "word " * 9_000, "--token-seconds", "0.1")
    with fake_sglang(tmp_path, *options, *words) as server:
        yield server


def answering(state: StateDir, server: FakeServer, until: Until) -> tuple[Job, Attempt]:
    """A job of which some words are stored."""
    job = submit_long("A text.", server=server.url, max_tokens=9_000)
    until(lambda: words_of(state, job))
    with Store.open(state) as store:
        attempt = store.attempt(store.job(job.id))
    assert attempt is not None
    return job, attempt


def words_of(state: StateDir, job: Job) -> str:
    with Store.open(state) as store:
        return "".join(piece.text for piece in store.pieces(job.id, store.job(job.id).attempt))


def kinds(state: StateDir, job: Job) -> list[str]:
    with Store.open(state) as store:
        return [event.kind for event in store.events(job.id)]


def get_stuck(marker: Path, attempt: Attempt, until: Until) -> None:
    marker.touch()
    until(lambda: marker.read_text() == str(attempt.worker.pid))
    marker.unlink()


@pytest.mark.promise
def test_a_worker_that_computes_in_c_is_killed(
    server: FakeServer, state: StateDir, until: Until, stuck: Path
) -> None:
    """SIGTERM does nothing to it. Its text is kept, its request ends, and the next job runs."""
    job, attempt = answering(state, server, until)
    get_stuck(stuck, attempt, until)
    os.kill(attempt.worker.pid, signal.SIGTERM)
    kept = words_of(state, job)
    job.cancel()
    server.wait_for_event("disconnect", rid=attempt.rid)
    until(lambda: job.status().is_finished)
    now = job.status()
    assert (now.state, now.attempt) == ("CANCELLED", 1)
    assert f"(process {attempt.worker.pid}) did not react and was killed" in str(now.message)
    assert words_of(state, job) == kept
    assert kinds(state, job)[-4:] == ["cancel wished", overdue.OVERDUE, overdue.KILLED, "finished"]
    assert not identity.is_same_process_alive(attempt.worker)
    following = submit_long("Another text.", server=server.url, max_tokens=8)
    assert following.result().split() == ["word"] * 8


@pytest.mark.promise
def test_a_worker_that_was_stopped_is_continued_and_ends_by_itself(
    server: FakeServer, state: StateDir, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP: it aborts its request by name, as always."""
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    patience = "jobs.worker.overdue.NOTICE_SECONDS=1,jobs.worker.overdue.KILL_SECONDS=3600"
    monkeypatch.setenv("KTJOB_CONSTANTS", patience)
    job, attempt = answering(state, server, until)
    standing_still.stop(state, attempt.worker)
    job.cancel()
    until(lambda: job.status().is_finished)
    assert (job.status().state, job.status().cause) == ("CANCELLED", "cancelled")
    assert "cancelled on request; the text so far is kept" in str(job.status().message)
    assert {overdue.OVERDUE, "abort"} <= set(kinds(state, job))
    assert overdue.KILLED not in kinds(state, job) and words_of(state, job)


def test_a_command_that_waits_does_it_where_the_runner_is_stopped(
    server: FakeServer,
    state: StateDir,
    until: Until,
    stuck: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody else could."""
    job, attempt = answering(state, server, until)
    get_stuck(stuck, attempt, until)
    runner = identity.holder(state.runner_lock)
    assert runner is not None
    standing_still.stop(state, runner)
    monkeypatch.setattr(overdue, "NOTICE_SECONDS", 1.0)
    monkeypatch.setattr(overdue, "KILL_SECONDS", 1.0)
    job.cancel()
    job.wait()
    assert job.status().state == "CANCELLED" and words_of(state, job)
    os.kill(runner.pid, signal.SIGCONT)


@pytest.mark.long
def test_a_cancel_starts_the_runner_that_watches_over_it(
    server: FakeServer, state: StateDir, until: Until, stuck: Path
) -> None:
    """The one before was killed, and the program that cancels ends at once. This runner waits as
    long as the product says: the constants are set at a runner's first fork."""
    job, attempt = answering(state, server, until)
    get_stuck(stuck, attempt, until)
    runner = identity.holder(state.runner_lock)
    assert runner is not None
    os.kill(runner.pid, signal.SIGKILL)
    until(lambda: not identity.is_same_process_alive(runner))
    job.cancel()
    until(lambda: not identity.is_same_process_alive(attempt.worker))
    until(lambda: job.status().is_finished)
    assert job.status().state == "CANCELLED"
