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
import time
import traceback
from asyncio import CancelledError

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs import clock, known_secrets
from ktclient.gateway.wire.event_stream import Cut

MOST_LINES = 10_000
"""So many lines wait to be written; further ones are counted."""
SILENT_PATHS = frozenset({"/healthz", "/metrics"})
"""Asked all the time by monitors: only their errors are logged."""
CLOSE_SECONDS = 1.0
_PATH_CHARACTERS = 200
_FRAMES = 4
_LOGGERS = ("ktjob", "uvicorn.error", "asyncio")
_NOTHING_SENT = 0


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
                line += f"{clock.now()} {dropped:,} lines were not written: too many at once\n"
            with contextlib.suppress(OSError):  # a full disk, or a terminal that is gone
                os.write(2, line.encode("utf-8", "replace"))


class LogHandler(logging.Handler):
    """Passes warnings of this program and its libraries on as lines."""

    def __init__(self, lines: Lines) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        raised = record.exc_info[1] if record.exc_info else None
        if raised is None:
            self._lines.say(record.getMessage())
        elif not isinstance(raised, (Cut, CancelledError)):  # these are in the line of the request
            self._lines.say(f"{record.getMessage().strip()}: {where(raised)}")


def where(error: BaseException) -> str:
    """An unexpected error in one line: its kind, and where it was raised. Its message may repeat
    what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{os.path.basename(one.filename)}:{one.lineno} {one.name}" for one in frames]
    return f"{type(error).__name__} at {' > '.join(places)}"


def attach(lines: Lines) -> None:
    """Let the loggers of this process write to these lines, and to nothing else."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [LogHandler(lines)]
        logger.setLevel(logging.WARNING)
        logger.propagate = False


class Logged:
    """An application whose requests are logged: method, path, status, seconds, the request's id;
    and whether the answer was cut."""

    def __init__(self, app: ASGIApp, lines: Lines) -> None:
        self._app, self._lines = app, lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        one = _Answer(send)
        try:
            await self._app(scope, receive, one.send)
        finally:
            if scope["path"] not in SILENT_PATHS or one.status >= 400 or not one.is_whole:
                self._lines.say(one.line(scope))


class _Answer:
    """What was sent of one answer."""

    __slots__ = ("_began", "_name", "_send", "is_whole", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._began = time.monotonic()
        self._name = "-"
        self.status = _NOTHING_SENT
        self.is_whole = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            named = (value for name, value in message["headers"] if name == b"x-request-id")
            self._name = next(named, b"-").decode("latin-1")
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.is_whole = True

    def line(self, scope: Scope) -> str:
        raw = scope.get("raw_path") or scope["path"].encode()
        path = raw[:_PATH_CHARACTERS].decode("ascii", "backslashreplace")
        shown = path if path.isprintable() else ascii(path)
        seconds = time.monotonic() - self._began
        status = self.status or "-"
        cut = "" if self.is_whole else " cut"
        return f"{scope['method']} {shown} {status} {seconds:.3f} s {self._name}{cut}"
