"""Questions that a server may leave unanswered: one at a time, and few in vain."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from support.patience import HANG_SECONDS

from jobs.store.state_dir import StateDir
from ktclient.servers import question_limit

URL = "http://127.0.0.1:40001"


class Server:
    """What is asked, and whether it answers."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = False

    def question(self) -> tuple[str, bool]:
        self.asked += 1
        return "said", self.answers

    def ask(self, state: StateDir, run: str | None = "run 1", is_patient: bool = False) -> object:
        return question_limit.run_limited(state, URL, run, self.question, is_patient=is_patient)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock of these questions on."""
    now = [1_000.0]
    monkeypatch.setattr("ktclient.servers.question_limit.time.monotonic", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


def test_after_a_question_in_vain_nobody_asks_for_a_while(
    state: StateDir, clock: Callable[[float], None]
) -> None:
    """Twice as long after each: a day of commands leaves few questions behind."""
    server = Server()
    for _ in range(24 * 60):
        server.ask(state)
        clock(60.0)
    assert server.asked <= 6 + 24
    server.answers = True
    clock(question_limit.LONGEST_PAUSE_SECONDS)
    before = server.asked
    for _ in range(5):
        assert server.ask(state) == "said"
    assert server.asked == before + 5, "who is answered may ask again"


def test_who_can_wait_may_ask(state: StateDir) -> None:
    """A worker does, after a command that could not."""
    server = Server()
    assert server.ask(state) == "said"
    assert server.ask(state) is None
    assert server.ask(state, is_patient=True) == "said"


def test_a_new_run_of_the_server_has_no_old_questions(state: StateDir) -> None:
    """They died with the one before."""
    server = Server()
    server.ask(state)
    assert server.ask(state, run="run 2") == "said"
    assert server.ask(state, run="run 2") is None


def test_only_one_asks_at_a_time(state: StateDir) -> None:
    """Not even somebody who can wait."""
    begun, done = threading.Event(), threading.Event()

    def slow() -> tuple[str, bool]:
        begun.set()
        assert done.wait(HANG_SECONDS)
        return "late", True

    asker = threading.Thread(
        target=lambda: question_limit.run_limited(state, URL, None, slow, is_patient=False)
    )
    asker.start()
    try:
        assert begun.wait(HANG_SECONDS)
        assert Server().ask(state, run=None, is_patient=True) is None
        other = question_limit.run_limited(
            state, "http://127.0.0.1:40002", None, Server().question, is_patient=False
        )
        assert other == "said", "of another server"
    finally:
        done.set()
        asker.join()


def test_a_failed_question_counts_as_left_behind(state: StateDir) -> None:
    """So does that of a command which is killed."""

    def broken() -> tuple[str, bool]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        question_limit.run_limited(state, URL, "run 1", broken, is_patient=False)
    assert Server().ask(state) is None


def test_without_a_place_to_count_it_asks(state: StateDir) -> None:
    """A file is in the way."""
    (state.root / "watch").rmdir()
    (state.root / "watch").write_text("")
    assert Server().ask(state) == "said"
