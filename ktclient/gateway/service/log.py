"""The lines that the gateway writes to stderr: one per request, and warnings.

A thread writes them, so that a terminal that was stopped, or a slow disk, does not block the event
loop. No line has a key or what a client sent: not even the message of an unexpected error.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import traceback
from asyncio import CancelledError

from jobs import clock, known_secrets
from ktclient.gateway.wire.event_stream import Cut

MOST_LINES = 10_000
"""So many lines wait to be written; further ones are counted."""
CLOSE_SECONDS = 1.0
_FRAMES = 4
_LOGGERS = ("ktjob", "uvicorn.error", "asyncio")
_REQUESTS = "ktjob.gateway"
"""The logger of the lines per request (`access.envelope`)."""
_REPEATED = "ASGI callable returned without completing response."
"""What uvicorn says of each answer that was cut."""


class Lines:
    """Writes lines to stderr in their order, without blocking who says them."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """Write this with the time before it, as one line without known keys."""
        line = " ".join(known_secrets.hide(text).splitlines())
        try:
            self._lines.put_nowait(f"{clock.now()} {line}\n")
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what waits, for `CLOSE_SECONDS` at most."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
            self._thread.join(CLOSE_SECONDS)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                line += (
                    f"{clock.now()} {dropped:,} lines were not written: too many in a short time\n"
                )
            with contextlib.suppress(OSError):  # a full disk, or a terminal that is gone
                os.write(2, line.encode("utf-8", "replace"))


class LogHandler(logging.Handler):
    """Passes what loggers say on as lines."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == _REPEATED:
            return
        raised = record.exc_info[1] if record.exc_info else None
        if raised is None and (words := without_trace(record.getMessage())):
            self._lines.say(words)
        elif raised is None:
            return
        elif not isinstance(raised, (Cut, CancelledError)):  # these are in the line of the request
            self._lines.say(f"{record.getMessage().strip()}: {where(raised)}")


def without_trace(text: str) -> str:
    """A message of a library, of a traceback in it only the kind of the error; nothing where that
    only says that the process ends."""
    before, trace, after = text.partition("Traceback (most recent call last)")
    if not trace:
        return text
    kind = after.strip().splitlines()[-1].partition(":")[0]
    return "" if kind.endswith(CancelledError.__name__) else f"{before.strip()}: {kind}"


def where(error: BaseException) -> str:
    """An unexpected error in one line: its kind, and where it was raised. Its message may repeat
    what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{os.path.basename(one.filename)}:{one.lineno} {one.name}" for one in frames]
    return f"{type(error).__name__} at {' > '.join(places)}"


def attach(lines: Lines, *, is_quiet: bool) -> None:
    """Let the loggers of this process write to these lines, and to nothing else. `is_quiet`:
    without a line per request."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [LogHandler(lines)]
        logger.setLevel(logging.WARNING)
        logger.propagate = False
    logging.getLogger(_REQUESTS).setLevel(logging.WARNING if is_quiet else logging.INFO)
