"""How far a fetch is: bytes, rate, time left. Several threads report to it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from server_bundle.transfers.progress import Progress

_WINDOW_SECONDS = 30.0
"""The rate is that of the last half minute: it follows the line, and does not jump."""


class Stopped(Exception):
    """A person asked to stop; what has arrived is kept."""


class Meter:
    """`total` in bytes. `say`: called with a sentence for people, by any thread."""

    def __init__(self, total: int, files: int, say: Callable[[str], None]) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._total, self._files, self._print = total, files, say
        self._done = self._received = self._checked = self._files_done = 0
        self._began = time.monotonic()
        self._samples: deque[tuple[float, int]] = deque([(self._began, 0)])
        self._notes: dict[str, str] = {}
        self._current: dict[str, None] = {}

    def stop(self) -> None:
        """Let every thread end at its next byte."""
        self._stop.set()

    def rest(self, seconds: float) -> None:
        """Wait. Raises `Stopped` as soon as `stop` was called."""
        if self._stop.wait(seconds):
            raise Stopped

    def begins(self, path: str) -> None:
        """A file is looked at, and fetched."""
        with self._lock:
            self._current[path] = None

    def ends(self, path: str, *, is_whole: bool = True) -> None:
        """A file is whole, or was given up."""
        with self._lock:
            self._current.pop(path, None)
            self._files_done += is_whole

    def arrived(self, path: str, size: int) -> None:
        """Bytes came over the network. Raises `Stopped`."""
        with self._lock:
            self._received += size
            self._done += size
            self._notes.pop(path, None)
            self._sample()
        self.rest(0)

    def found(self, size: int) -> None:
        """Bytes were here already."""
        with self._lock:
            self._done += size

    def lost(self, size: int) -> None:
        """Bytes have to be fetched once more."""
        self.found(-size)

    def check(self, size: int) -> None:
        """Bytes were read to compare a checksum. Raises `Stopped`."""
        with self._lock:
            self._checked += size
        self.rest(0)

    def say(self, path: str, words: str) -> None:
        """Something that people should know of a file: shown until bytes of it arrive."""
        with self._lock:
            self._notes[path] = words
        self._print(words)

    def progress(self) -> Progress:
        """How far it is now."""
        with self._lock:
            now = self._sample()
            began, before = self._samples[0]
            rate = (self._received - before) / (now - began) if now > began else 0.0
            missing = max(0, self._total - self._done)
            return Progress(
                done=self._done,
                total=self._total,
                files_done=self._files_done,
                files=self._files,
                received=self._received,
                checked=self._checked,
                rate=rate,
                left=0.0 if not missing else missing / rate if rate > 0 else None,
                seconds=now - self._began,
                current=tuple(self._current),
                note=next(reversed(self._notes.values()), ""),
            )

    def _sample(self) -> float:
        now = time.monotonic()
        if now - self._samples[-1][0] >= 0.5:
            self._samples.append((now, self._received))
        while len(self._samples) > 2 and now - self._samples[0][0] > _WINDOW_SECONDS:
            self._samples.popleft()
        return now
