"""Wait while writing due output and checking for a cancel request."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from jobs.errors import WorkCancelled
from jobs.worker.attempt import RunningAttempt

TICK_SECONDS = 0.2

Answer = TypeVar("Answer")


def start(call: Callable[[], Answer]) -> queue.SimpleQueue[Answer | BaseException]:
    """Make a blocking call in its own thread; the queue receives its result or its exception."""
    answers: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(call())
        except BaseException as error:
            answers.put(error)

    threading.Thread(target=ask, name="asking", daemon=True).start()
    return answers


def call_in_thread(attempt: RunningAttempt, call: Callable[[], Answer]) -> Answer:
    """The result of a blocking call that does not touch the store, however long it takes. Raises
    what it raises, and `WorkCancelled`: the call then ends by itself, and its result is dropped."""
    answers = start(call)
    while True:
        try:
            answer = answers.get(timeout=TICK_SECONDS)
        except queue.Empty:
            _beat(attempt)
            continue
        if isinstance(answer, BaseException):
            raise answer
        return answer


def sleep(attempt: RunningAttempt, seconds: float) -> None:
    """Sleep for `seconds`. Raises `WorkCancelled`."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        _beat(attempt)
        time.sleep(min(TICK_SECONDS, left))


def _beat(attempt: RunningAttempt) -> None:
    if not attempt.heartbeat():
        raise WorkCancelled("cancelled while waiting for the server")
