"""Waiting without ceasing to work: what is due is written, and a wish to cancel is heard."""

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
    """Make a blocking call in a thread of its own; its answer, or what it raised, comes there."""
    answers: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(call())
        except BaseException as error:
            answers.put(error)

    threading.Thread(target=ask, name="asking", daemon=True).start()
    return answers


def call_in_thread(performing: RunningAttempt, call: Callable[[], Answer]) -> Answer:
    """The answer of a blocking call that does not touch the store, however long it takes. Raises
    what it raises, and `WorkCancelled`: the call then ends by itself, and nobody listens."""
    answers = start(call)
    while True:
        try:
            answer = answers.get(timeout=TICK_SECONDS)
        except queue.Empty:
            _beat(performing)
            continue
        if isinstance(answer, BaseException):
            raise answer
        return answer


def sleep(performing: RunningAttempt, seconds: float) -> None:
    """Sleep. Raises `WorkCancelled`."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        _beat(performing)
        time.sleep(min(TICK_SECONDS, left))


def _beat(performing: RunningAttempt) -> None:
    if not performing.beat():
        raise WorkCancelled("cancelled while it waited for the server")
