"""Check whether a silent server is alive, by queries on separate connections.

Half an hour without a byte is normal, so silence proves nothing. `Poller` sends queries in one
thread beside the request; `Liveness` decides from the times of answers, with the caller's clock;
`LivenessProbe` is both for one request.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ktclient.request.connection import SILENT_PEER_SECONDS

ASK_SECONDS = 30.0
"""Between two queries. They cost the server nothing: sglang answers /model_info without its
scheduler, even during a prefill."""
ANSWER_SECONDS = 10.0
"""sglang's event loop blocks while it tokenizes: about a second for 600K tokens."""
WORRY_SECONDS = 60.0
"""Unanswered for this long (two queries), the server is reported as not answering."""
GIVE_UP_SECONDS = float(SILENT_PEER_SECONDS)
"""As long as a silent peer of the request's own connection is waited for, for the same reason:
waiting for a server that comes back costs nothing, and a second prefill costs half an hour."""
_TELLING = 2
"""Queries without an answer that say something of a server's habits."""
_JOIN_SECONDS = 0.5

Watch = Callable[["socket.socket | None"], None]
"""Gets the socket of a query, so that it can be cut short; None when the query is over."""


@dataclass(frozen=True)
class NotAnswering:
    """The server has not answered for `seconds`; after `give_up` seconds the request ends."""

    seconds: float
    give_up: float

    @property
    def is_hung(self) -> bool:
        return self.seconds >= self.give_up


@dataclass(frozen=True)
class LeftInPeace:
    """The server has not answered for `seconds`, and it is not known to answer while it reads: one
    that serves one connection at a time does not. Only the deadline ends the request."""

    seconds: float


@dataclass(frozen=True)
class AnswersAgain:
    """The server answers again, after `seconds` without an answer."""

    seconds: float


class Liveness:
    """Decides from the times of answers. Times are seconds of any steady clock."""

    def __init__(self, now: float, worry: float, give_up: float) -> None:
        self._heard_at = now
        self._worry, self._give_up = worry, give_up
        self._worried_since: float | None = None

    def heard(self, now: float) -> None:
        """An answer of any kind, or text, has arrived."""
        self._heard_at = max(self._heard_at, now)

    def silence(self, now: float) -> float:
        """Seconds since anything arrived."""
        return now - self._heard_at

    def look(self, now: float) -> NotAnswering | AnswersAgain | None:
        """The event to report now: while the server does not answer, one at each call."""
        if self.silence(now) >= self._worry:
            if self._worried_since is None:
                self._worried_since = self._heard_at
            return NotAnswering(self.silence(now), self._give_up)
        if self._worried_since is None:
            return None
        again = AnswersAgain(self._heard_at - self._worried_since)
        self._worried_since = None
        return again


@dataclass(frozen=True)
class Question:
    """A query to send every `every` seconds, first after that time or immediately (`at_once`).
    `ask` gets a `Watch`, may block, and reports its result itself; it raises nothing."""

    ask: Callable[[Watch], None]
    every: float
    at_once: bool = False


class Poller:
    """One thread that sends its queries in turn, each at its own interval, until it is stopped."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._questions = tuple(questions)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and the query that it is waiting for. A query that is still connecting
        ends by its own timeout; its result is dropped."""
        self._stopped.set()
        with self._lock:
            _shut(self._socket)
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    def _run(self) -> None:
        start = time.monotonic()
        due = [start + (0.0 if one.at_once else one.every) for one in self._questions]
        while not self._stopped.wait(max(0.0, min(due) - time.monotonic())):
            for number, question in enumerate(self._questions):
                if due[number] <= time.monotonic() and not self._stopped.is_set():
                    question.ask(self._watch)
                    due[number] = time.monotonic() + question.every

    def _watch(self, sock: socket.socket | None) -> None:
        with self._lock:
            self._socket = sock
            if self._stopped.is_set():
                _shut(sock)


class LivenessProbe:
    """The liveness of one server for the time of one request."""

    def __init__(
        self, ask: Callable[[Watch], bool | None], *, is_known_to_answer: bool = True
    ) -> None:
        """`ask` returns whether the server answered, with any status; None if it let the query
        wait, False if it cannot be reached. `is_known_to_answer`: whether it has answered in an
        earlier prefill; if not, its silence means something only once it has answered in this
        one."""
        self._ask = ask
        self._every = ASK_SECONDS
        self._liveness = Liveness(time.monotonic(), WORRY_SECONDS, GIVE_UP_SECONDS)
        self._is_started = False
        self._is_asking = False
        self._is_known_to_answer = is_known_to_answer
        self._answers = self._waits = 0
        self._has_just_answered = False
        self._away_since: float | None = None
        self._is_worry_told = self._is_peace_told = False
        self._poller = Poller([Question(self._question, self._every)])

    @property
    def has_answered(self) -> bool | None:
        """Whether the server answered queries during this request; None if too few were sent."""
        return True if self._answers else False if self._waits >= _TELLING else None

    def start(self) -> None:
        """Start to send queries. Where no thread can be started now (a limit of processes), the
        request goes on without them, and each `look` tries again: it was sent already."""
        self.heard()
        self._is_started = True
        self._is_asking = self._can_ask()

    def stop(self) -> None:
        self._poller.stop()

    def heard(self) -> None:
        """Count arrived data as an answer."""
        self._has_just_answered = False
        self._liveness.heard(time.monotonic())

    def look(self) -> NotAnswering | LeftInPeace | AnswersAgain | None:
        """The event to report now; None before the start, however long the upload takes."""
        if not self._is_started:
            return None
        if not self._is_asking:
            self.heard()  # nobody asked, so silence means nothing
            self._is_asking = self._can_ask()
        now = time.monotonic()
        sign = self._liveness.look(now)
        if isinstance(sign, NotAnswering):
            return self._worry(sign, now)
        was_told, self._is_worry_told = self._is_worry_told, False
        return sign if was_told else None

    def _worry(self, sign: NotAnswering, now: float) -> NotAnswering | LeftInPeace | None:
        is_away = self._away_since is not None and now - self._away_since >= WORRY_SECONDS
        if self._is_known_to_answer or self._answers or is_away:
            self._is_worry_told = True
            return sign
        if self._is_peace_told:
            return None
        self._is_peace_told = True
        return LeftInPeace(sign.seconds)

    def _can_ask(self) -> bool:
        try:
            self._poller.start()
        except RuntimeError:  # no thread: `Thread.start` may be called again after that
            return False
        return True

    def _question(self, watch: Watch) -> None:
        # Arriving text is an answer too. Half the interval: otherwise, text just after a query
        # would delay the next query beyond WORRY_SECONDS.
        if self._liveness.silence(time.monotonic()) < self._every / 2:
            return
        # Only now, with no text since, was the query before answered during the prefill: a server
        # that serves one connection at a time answers those that wait at its end.
        self._answers += self._has_just_answered
        found = self._ask(watch)
        if self._poller.is_stopped:
            return  # the query was cut short
        if found is not False:
            self._away_since = None
        elif self._away_since is None:
            self._away_since = time.monotonic()
        self._waits += found is None
        if found:
            self._liveness.heard(time.monotonic())
        self._has_just_answered = found is True


def _shut(sock: socket.socket | None) -> None:
    if sock is not None:
        with contextlib.suppress(OSError):  # already closed, or its other end is
            sock.shutdown(socket.SHUT_RDWR)
