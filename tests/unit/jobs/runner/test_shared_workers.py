"""Which shared worker gets a job, and what the runner knows of its end."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from jobs.runner import shared_workers
from jobs.runner.shared_workers import SharedWorkers
from jobs.worker.shared import LEAVING


class Forks:
    """Stands for forked workers: their ends of the lines, by pid."""

    def __init__(self) -> None:
        self.lines: dict[int, socket.socket] = {}
        self.is_refused = False
        self.made: list[SharedWorkers] = []

    def workers(self) -> SharedWorkers:
        self.made.append(SharedWorkers(self))
        return self.made[-1]

    def __call__(self, line: socket.socket) -> int:
        if self.is_refused:
            raise OSError("no process is left")
        pid = 100 + len(self.lines)
        self.lines[pid] = line.dup()
        return pid


@pytest.fixture
def forks() -> Iterator[Forks]:
    made = Forks()
    yield made
    for line in made.lines.values():
        line.close()
    for workers in made.made:
        workers.drop()


def test_one_is_filled_before_the_next(forks: Forks, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that is told to have ended makes room."""
    monkeypatch.setattr(shared_workers, "MOST_JOBS", 2)
    workers = forks.workers()
    for job_id in ("a", "b", "c"):
        workers.give(job_id)
    assert list(forks.lines) == [100, 101] and workers.jobs == {"a", "b", "c"}
    assert [forks.lines[100].recv(99) for _ in "ab"] == [b"a", b"b"]
    forks.lines[100].send(b"a")
    workers.hear()
    assert workers.jobs == {"b", "c"}
    workers.give("d")
    assert forks.lines[100].recv(99) == b"d" and len(forks.lines) == 2


def test_one_that_leaves_gets_no_more_and_its_jobs_are_known(forks: Forks) -> None:
    workers = forks.workers()
    workers.give("a")
    forks.lines[100].send(LEAVING)
    workers.hear()
    workers.give("b")
    assert list(forks.lines) == [100, 101]
    assert workers.ended(100) == {"a"} and 100 not in workers and 101 in workers


def test_one_that_has_died_is_not_given_a_job(forks: Forks) -> None:
    """It is not reaped yet, but its end of the line is closed."""
    workers = forks.workers()
    workers.give("a")
    forks.lines[100].close()
    workers.give("b")
    assert list(forks.lines) == [100, 101]
    assert workers.ended(100) == {"a"} and workers.jobs == {"b"}


def test_without_a_process_the_job_stays_queued(forks: Forks) -> None:
    workers = forks.workers()
    forks.is_refused = True
    workers.give("a")
    assert workers.jobs == set() and list(workers.files()) == []


def test_idle_ones_are_let_go(forks: Forks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The closed line is what ends them; one with a job stays."""
    workers = forks.workers()
    workers.give("a")
    monkeypatch.setattr(shared_workers, "IDLE_SECONDS", -1.0)
    workers.hear()
    assert len(list(workers.files())) == 1
    forks.lines[100].recv(99)
    forks.lines[100].send(b"a")
    workers.hear()
    assert list(workers.files()) == [] and forks.lines[100].recv(99) == b""
    workers.give("b")
    assert list(forks.lines) == [100, 101]
