"""The lock of a runner that leaves, and of the one that waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from jobs.processes import identity
from jobs.runner import runner_lock, start
from jobs.runner.runner_lock import RunnerLock
from jobs.store.state_dir import StateDir


@pytest.fixture
def locks(state: StateDir) -> Iterator[Callable[[], RunnerLock]]:
    """Makes locks of runners that are released with the test."""
    with ExitStack() as made:

        def make() -> RunnerLock:
            one = RunnerLock(state.create())
            made.callback(one.end)
            return one

        yield make


@pytest.fixture
def leaving(locks: Callable[[], RunnerLock], monkeypatch: pytest.MonkeyPatch) -> RunnerLock:
    """A runner of another installation that cannot start jobs."""
    monkeypatch.setattr(start, "installation", lambda: "another")
    lock = locks()
    assert lock.acquire()
    lock.report_trouble("there is no x")
    monkeypatch.undo()
    return lock


def test_trouble_is_in_the_signature_with_its_beginning(
    state: StateDir, leaving: RunnerLock
) -> None:
    """A second reason keeps the time of the first; its end removes both."""
    first = start.runner_trouble(state)
    assert first is not None and first.reason == "there is no x"
    assert not start.is_runner_alive(state)
    leaving.report_trouble("there is no y")
    second = start.runner_trouble(state)
    assert second is not None and second.since == first.since and second.reason == "there is no y"
    leaving.report_trouble("")
    assert start.runner_trouble(state) is None and start.is_runner_alive(state)


def test_the_same_installation_leaves_it_to_the_runner_that_tries(
    state: StateDir, locks: Callable[[], RunnerLock]
) -> None:
    """It could do no better."""
    lock = locks()
    assert lock.acquire()
    lock.report_trouble("there is no x")
    assert start.is_runner_alive(state)


def test_a_lock_that_is_offered_just_then_is_waited_for(
    state: StateDir,
    leaving: RunnerLock,
    locks: Callable[[], RunnerLock],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The leaving runner releases it between two looks of the one that waits."""
    tries: list[str] = []
    real = identity.hold

    def hold(*args: object) -> identity.HeldLock | None:
        tries.append("hold")
        if len(tries) < 3:
            return None
        return real(state.runner_lock)

    leaving.end()
    monkeypatch.setattr(runner_lock.identity, "hold", hold)
    assert locks().acquire()
    assert len(tries) == 3


def test_a_runner_that_keeps_its_lock_is_not_waited_for(
    locks: Callable[[], RunnerLock], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is well."""
    monkeypatch.setattr(runner_lock, "TAKEOVER_SECONDS", 0.0)
    assert locks().acquire()
    assert not locks().acquire()


def test_a_lock_that_nobody_takes_is_held_again(state: StateDir, leaving: RunnerLock) -> None:
    """With its trouble."""
    assert not leaving.pass_on(0.0)
    assert start.runner_trouble(state) is not None
