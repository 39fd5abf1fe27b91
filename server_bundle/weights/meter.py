"""How far a fetch is: bytes, rate, time left. Several threads report to it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW_SECONDS = 30.0
"""The rate is that of the last half minute: it follows the line, and does not jump."""


class Stopped(Exception):
    """A person asked to stop; what has arrived is kept."""


@dataclass(frozen=True)
class Reading:
    """`done` and `total` in bytes, of all wanted files; `checked` of those that were read to check
    them, `received` over the network by this process. `rate` in bytes a second; `left` in seconds,
    None while the rate is not known."""

    done: int
    total: int
    received: int
    checked: int
    rate: float
    left: float | None
    files_done: int
    files: int
    note: str


class Meter:
    """`total` in bytes. `say`: called with a sentence for people, by any thread."""

    def __init__(self, total: int, files: int, say: Callable[[str], None]) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._total, self._files, self._print = total, files, say
        self._done = self._received = self._checked = self._files_done = 0
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._notes: dict[str, str] = {}

    def stop(self) -> None:
        """Let every thread end at its next byte."""
        self._stop.set()

    def rest(self, seconds: float) -> None:
        """Wait. Raises `Stopped` as soon as `stop` was called."""
        if self._stop.wait(seconds):
            raise Stopped

    def arrived(self, path: str, size: int) -> None:
        """Bytes came over the network. Raises `Stopped`."""
        with self._lock:
            self._received += size
            self._done += size
            self._notes.pop(path, None)
            self._sample()
        self._raise_if_stopped()

    def found(self, size: int) -> None:
        """Bytes were here already."""
        with self._lock:
            self._done += size

    def lost(self, size: int) -> None:
        """Bytes have to be fetched once more."""
        with self._lock:
            self._done -= size

    def check(self, size: int) -> None:
        """Bytes were read to compare a checksum. Raises `Stopped`."""
        with self._lock:
            self._checked += size
        self._raise_if_stopped()

    def file_done(self) -> None:
        with self._lock:
            self._files_done += 1

    def say(self, path: str, words: str) -> None:
        """Something that people should know of a file: shown until bytes of it arrive."""
        with self._lock:
            self._notes[path] = words
        self._print(words)

    def reading(self) -> Reading:
        with self._lock:
            now = self._sample()
            began, before = self._samples[0]
            rate = (self._received - before) / (now - began) if now > began else 0.0
            missing = max(0, self._total - self._done)
            left = 0.0 if not missing else missing / rate if rate > 0 else None
            return Reading(
                self._done,
                self._total,
                self._received,
                self._checked,
                rate,
                left,
                self._files_done,
                self._files,
                next(reversed(self._notes.values()), ""),
            )

    def _sample(self) -> float:
        now = time.monotonic()
        if now - self._samples[-1][0] >= 0.5:
            self._samples.append((now, self._received))
        while len(self._samples) > 2 and now - self._samples[0][0] > _WINDOW_SECONDS:
            self._samples.popleft()
        return now

    def _raise_if_stopped(self) -> None:
        if self._stop.is_set():
            raise Stopped
