"""Power loss and reboot: everything of ours is killed at once, the next look is on another boot.

The boot is another one because the store says that the attempt ran on one of another id: no lock,
no process and no kernel remembers it, exactly as after a reboot.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import processes, queueing

from jobs.model import Job, Outcome
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import recovery

Until = Callable[..., object]


@pytest.fixture(autouse=True)
def toy_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runners and workers find it."""
    monkeypatch.setenv("PYTHONPATH", str(queueing.SUPPORT))


def lose_power(state: StateDir) -> None:
    """kill -9 of the runner and of every worker; then the attempts belong to an earlier boot."""
    processes.end_all(state)
    queueing.sql(state, "UPDATE attempts SET boot_id = 'the boot before'")


def look_after_boot(state: StateDir) -> None:
    """What the next ktjob command does, or the boot unit."""
    with Store.open(state) as store:
        assert recovery.recover(store, state) == []
    start.ensure_runner(state, queueing.WORK)


def begun(state: StateDir, until: Until, gate: Path, attempts: int) -> Job:
    job = queueing.submit(state, attempts=attempts, say="Half a ", until=str(gate), then="word.")
    until(lambda: queueing.text_of(state, job) == "Half a ")
    return job


@pytest.mark.promise
def test_what_ran_is_tried_once_more_and_what_waited_waits(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """QUEUED stays; RUNNING gets its next attempt, and the event says why."""
    gate = tmp_path / "gate"
    running = begun(state, until, gate, attempts=2)
    waiting = queueing.put(state, say="Me too.")
    lose_power(state)
    with Store.open(state) as store:
        recovery.recover(store, state)
        assert [store.job(job.id).state for job in (running, waiting)] == ["QUEUED", "QUEUED"]
        assert store.job(waiting.id).attempt == 0
        (why,) = (event for event in store.events(running.id) if event.kind == "queued again")
    assert "the machine was restarted in phase 'working'" in str(why.data["message"])
    gate.touch()
    look_after_boot(state)
    until(queueing.ended(state, running))
    until(queueing.ended(state, waiting))
    end = queueing.look(state, running)
    assert (end.state, end.attempt) == ("SUCCEEDED", 2)
    assert queueing.text_of(state, running) == "Half a word."
    assert queueing.look(state, waiting).state == "SUCCEEDED"


def test_after_the_last_attempt_it_is_lost_with_its_phase_and_its_text(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """No second prefill where only one was allowed."""
    job = begun(state, until, tmp_path / "never", attempts=1)
    lose_power(state)
    look_after_boot(state)
    end = queueing.look(state, job)
    assert (end.outcome, end.cause, end.attempt) == (Outcome.LOST, "worker_died", 1)
    assert end.message is not None
    assert "the machine was restarted in phase 'working', attempt 1 of 1" in end.message
    assert queueing.text_of(state, job) == "Half a "
