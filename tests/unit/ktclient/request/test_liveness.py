"""When a silent server counts as alive, as worrying, and as hung; and the thread that asks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest
from support.patience import HANG_SECONDS

from ktclient.request import liveness as request_liveness
from ktclient.request.liveness import (
    AnswersAgain,
    LeftInPeace,
    Liveness,
    LivenessProbe,
    NotAnswering,
    Poller,
    Question,
)

Until = Callable[..., object]


def test_silence_is_no_news_while_answers_come() -> None:
    """Half an hour of them."""
    liveness = Liveness(0.0, worry=60.0, give_up=600.0)
    for minute in range(30):
        assert liveness.look(minute * 59.0 + 59.0) is None
        liveness.heard(minute * 59.0 + 59.0)


def test_a_worry_is_told_and_ends_with_an_answer() -> None:
    """With how long it lasted, once."""
    liveness = Liveness(100.0, worry=60.0, give_up=600.0)
    assert liveness.look(159.9) is None
    assert liveness.look(160.0) == NotAnswering(60.0, 600.0)
    assert liveness.look(220.0) == NotAnswering(120.0, 600.0)
    liveness.heard(230.0)
    assert liveness.look(231.0) == AnswersAgain(130.0)
    assert liveness.look(232.0) is None


def test_a_server_is_hung_after_its_time_and_not_before() -> None:
    """The last moment counts."""
    liveness = Liveness(0.0, worry=60.0, give_up=600.0)
    for moment, hung in ((599.9, False), (600.0, True)):
        sign = liveness.look(moment)
        assert isinstance(sign, NotAnswering) and sign.is_hung is hung


def test_an_answer_just_before_the_end_saves_it() -> None:
    """The clock begins again."""
    liveness = Liveness(0.0, worry=60.0, give_up=600.0)
    liveness.look(599.0)
    liveness.heard(599.5)
    assert liveness.look(600.0) == AnswersAgain(599.5)
    assert liveness.look(659.6) == NotAnswering(pytest.approx(60.1), 600.0)


def test_an_old_answer_does_not_turn_the_clock_back() -> None:
    """The thread that asks and the one that reads are not in step."""
    liveness = Liveness(0.0, worry=60.0, give_up=600.0)
    liveness.heard(50.0)
    liveness.heard(40.0)
    assert liveness.silence(60.0) == 10.0


def test_the_figures_leave_room_for_a_late_question() -> None:
    """What was heard right after a question, and the longest answer, still come before a worry."""
    latest = 1.5 * request_liveness.ASK_SECONDS + request_liveness.ANSWER_SECONDS
    assert latest < request_liveness.WORRY_SECONDS < request_liveness.GIVE_UP_SECONDS


def test_questions_are_asked_at_their_own_pace_until_the_end(until: Until) -> None:
    """In one thread, which ends."""
    asked: list[str] = []
    before = threading.active_count()
    poller = Poller(
        [
            Question(lambda watch: asked.append("often"), 0.01),
            Question(lambda watch: asked.append("seldom"), 0.1),
        ]
    )
    poller.start()
    until(lambda: asked.count("seldom") >= 2)
    assert threading.active_count() == before + 1
    poller.stop()
    assert asked.count("often") > asked.count("seldom")
    count = len(asked)
    until(lambda: threading.active_count() == before)
    assert len(asked) == count


def test_a_question_that_waits_is_cut_short(until: Until) -> None:
    """A hung server holds nobody up."""
    ours, theirs = socket.socketpair()
    waiting = threading.Event()
    ended = threading.Event()

    def ask(watch: request_liveness.Watch) -> None:
        watch(ours)
        waiting.set()
        ours.recv(1)  # nobody ever writes
        ended.set()

    with ours, theirs:
        poller = Poller([Question(ask, 0.01)])
        poller.start()
        assert waiting.wait(HANG_SECONDS)
        poller.stop()
        assert ended.wait(HANG_SECONDS)


def test_nothing_is_said_before_the_whole_request_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload may take minutes; the server is not asked then."""
    monkeypatch.setattr(request_liveness, "WORRY_SECONDS", 0.0)
    beating = LivenessProbe(lambda watch: True)
    assert beating.look() is None
    beating.start()
    assert isinstance(beating.look(), NotAnswering)
    beating.stop()


def test_a_server_that_writes_is_not_asked(monkeypatch: pytest.MonkeyPatch, until: Until) -> None:
    """Its text is answer enough; when that stops, it is asked."""
    monkeypatch.setattr(request_liveness, "ASK_SECONDS", 0.05)
    asked = threading.Event()
    started = threading.Event()

    def ask(watch: request_liveness.Watch) -> bool:
        asked.set()
        return True

    beating = LivenessProbe(ask)
    beating._liveness.heard(float("inf"))  # text for ever
    monkeypatch.setattr(beating, "heard", started.set)
    beating.start()
    assert started.wait(HANG_SECONDS)
    assert not asked.wait(0.3)
    beating._liveness = Liveness(0.0, 60.0, 600.0)
    assert asked.wait(HANG_SECONDS)
    beating.stop()


def test_without_a_thread_it_goes_on_and_tries_again(
    monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    """A limit of processes must not cost a request that was sent: silence means nothing while
    nobody asks, and the queries begin once a thread can be started."""
    monkeypatch.setattr(request_liveness, "ASK_SECONDS", 0.01)
    monkeypatch.setattr(request_liveness, "WORRY_SECONDS", 0.0)
    asked = threading.Event()
    beating = LivenessProbe(lambda watch: bool(asked.set()))
    start = threading.Thread.start
    refused = []

    def refuse(thread: threading.Thread) -> None:
        refused.append(thread)
        if len(refused) < 3:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    beating.start()
    try:
        until(lambda: beating.look() is not None and asked.is_set())
        assert len(refused) == 3
    finally:
        beating.stop()


def probe_of(
    monkeypatch: pytest.MonkeyPatch, answers: list[bool | None], *, is_known: bool
) -> tuple[LivenessProbe, list[float]]:
    """A probe whose queries are answered so, with a clock that the test sets. The thread is not
    started: the test asks."""
    now = [0.0]
    monkeypatch.setattr(request_liveness.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Poller, "start", lambda self: None)
    probe = LivenessProbe(lambda watch: answers.pop(0), is_known_to_answer=is_known)
    probe.start()
    return probe, now


def ask_at(probe: LivenessProbe, now: list[float], *moments: float) -> None:
    for moment in moments:
        now[0] = moment
        probe._question(lambda sock: None)


def test_a_server_that_is_not_known_to_answer_is_left_in_peace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told once, however long it lasts; then it is known."""
    probe, now = probe_of(monkeypatch, [None] * 20, is_known=False)
    ask_at(probe, now, 30.0, 60.0)
    assert probe.look() == LeftInPeace(60.0)
    for hour in range(1, 9):
        ask_at(probe, now, hour * 3600.0)
        assert probe.look() is None
    probe.heard()
    assert probe.look() is None and probe.has_answered is False


def test_one_that_has_answered_in_this_request_is_called_hung_when_it_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though nothing was known of it before."""
    probe, now = probe_of(monkeypatch, [True, None, None, None], is_known=False)
    ask_at(probe, now, 30.0, 60.0, 90.0)
    assert probe.look() == NotAnswering(60.0, 600.0) and probe.has_answered is True
    now[0] = 630.0
    sign = probe.look()
    assert isinstance(sign, NotAnswering) and sign.is_hung


def test_one_that_cannot_be_reached_any_more_is_called_hung(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To refuse connections is no habit of a busy server. Once may be an accident."""
    probe, now = probe_of(monkeypatch, [False, None, False, False], is_known=False)
    ask_at(probe, now, 30.0, 60.0)
    assert probe.look() == LeftInPeace(60.0)
    ask_at(probe, now, 90.0)
    assert probe.look() is None
    ask_at(probe, now, 700.0)
    sign = probe.look()
    assert isinstance(sign, NotAnswering) and sign.is_hung


def test_one_query_without_an_answer_says_nothing_of_habits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server stalls while it tokenizes."""
    probe, now = probe_of(monkeypatch, [None], is_known=True)
    ask_at(probe, now, 30.0)
    assert probe.has_answered is None
