"""What is done to a worker that does not act on a cancel, step by step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from jobs.errors import StoreUnusable
from jobs.model import Capacity, Identity, Job, NewJob, Outcome
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import overdue
from jobs.worker.overdue import OverdueCancels

Until = Callable[..., object]


@pytest.fixture
def store(state: StateDir) -> Iterator[Store]:
    with Store.open(state) as store:
        yield store


@pytest.fixture
def worker(until: Until) -> Iterator[Identity]:
    """A process that leads its group, and is stopped."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        found = identity.of(process.pid)
        assert found is not None
        os.kill(process.pid, signal.SIGSTOP)
        until(lambda: identity.is_stopped(found))
        yield found
        process.kill()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overdue, "NOTICE_SECONDS", 0.0)
    monkeypatch.setattr(overdue, "KILL_SECONDS", 0.0)


def running(store: Store, worker: Identity, **more: str) -> Job:
    new = replace(NewJob("pool", "{}", b"text", "title"), **more)  # type: ignore[arg-type]
    job = store.submit(new, Capacity(slots=9))
    store.claim(job.id, worker)
    return job


def look(store: Store, watch: OverdueCancels, job: Job) -> list[str]:
    """The kinds of events that are there after one more look."""
    watch.look(store, [store.job(job.id)])
    steps = (overdue.OVERDUE, overdue.KILLED)
    return [event.kind for event in store.events(job.id) if event.kind in steps]


@pytest.mark.usefixtures("at_once")
def test_first_it_is_continued_then_it_is_killed(
    store: Store, worker: Identity, until: Until
) -> None:
    """With an event before each; without a cancel nothing is done."""
    job, watch = running(store, worker), OverdueCancels()
    assert look(store, watch, job) == [] and identity.is_stopped(worker)
    store.request_cancel(job.id)
    assert look(store, watch, job) == [overdue.OVERDUE]
    until(lambda: not identity.is_stopped(worker))
    assert identity.is_same_process_alive(worker)
    attempt = store.attempt(job := store.job(job.id))
    assert attempt is not None and not overdue.was_killed(store, attempt)
    assert look(store, watch, job) == [overdue.OVERDUE, overdue.KILLED]
    until(lambda: not identity.is_same_process_alive(worker))
    assert overdue.was_killed(store, attempt)


def test_it_has_time(store: Store, worker: Identity) -> None:
    """Twice."""
    job, watch = running(store, worker), OverdueCancels()
    store.request_cancel(job.id)
    assert [look(store, watch, job) for _ in range(9)] == [[]] * 9
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(overdue, "NOTICE_SECONDS", 0.0)
        assert [look(store, watch, job) for _ in range(9)] == [[overdue.OVERDUE]] * 9
    assert identity.is_same_process_alive(worker)


@pytest.mark.usefixtures("at_once")
def test_nothing_is_done_while_nothing_can_be_written(
    store: Store, worker: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker may wait for the same, with text in memory."""
    job, watch = running(store, worker), OverdueCancels()
    store.request_cancel(job.id)

    def refuse(*_: object) -> None:
        raise StoreUnusable("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(store, "note", refuse)
        assert [look(store, watch, job) for _ in range(3)] == [[]] * 3
    assert identity.is_stopped(worker)
    assert look(store, watch, job) == [overdue.OVERDUE]


@pytest.mark.usefixtures("at_once")
def test_a_conductor_is_left_alone_until_its_parts_have_ended(
    store: Store, worker: Identity
) -> None:
    """It ends after them."""
    job, watch = running(store, worker), OverdueCancels()
    part = running(store, worker, parent=job.id, part="1")
    store.request_cancel(job.id)
    assert look(store, watch, job) == [] == look(store, watch, job)
    store.finish(part.id, 1, Outcome.CANCELLED, "cancelled", "cancelled")
    assert look(store, watch, job) == [overdue.OVERDUE]


@pytest.mark.usefixtures("at_once")
def test_another_process_with_its_pid_is_left_alone(store: Store, worker: Identity) -> None:
    """And one of another boot."""
    others = (
        replace(worker, start_ticks=worker.start_ticks + 1),
        replace(worker, boot_id="another"),
    )
    for other in others:
        job, watch = running(store, other), OverdueCancels()
        store.request_cancel(job.id)
        assert look(store, watch, job) == [] == look(store, watch, job)
    assert identity.is_stopped(worker)
