"""Servers that were found and queried a moment ago, so that not every request asks them again."""

from __future__ import annotations

import threading
import time

from ktclient.servers.selection import Target

FRESH_SECONDS = 5.0
"""How long what a server said of itself is used for further requests. The worker asks again."""
_MOST = 64

Key = tuple[str | None, str | None]
"""The server and the model as they were asked for."""


class Targets:
    """Of one gateway. Callable in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[Key, tuple[float, Target]] = {}

    def get(self, key: Key) -> Target | None:
        """The server, if it was asked within `FRESH_SECONDS`."""
        with self._lock:
            at, target = self._found.get(key, (float("-inf"), None))
        return target if time.monotonic() - at < FRESH_SECONDS else None

    def keep(self, key: Key, target: Target) -> None:
        """Remember a server that has just been asked; not one that is being started."""
        if target.facts is None or target.is_embedded:
            return
        with self._lock:
            self._found.pop(key, None)
            while len(self._found) >= _MOST:
                del self._found[next(iter(self._found))]
            self._found[key] = (time.monotonic(), target)

    def drop(self, key: Key) -> None:
        """Ask again: something that was said is not so any more."""
        with self._lock:
            self._found.pop(key, None)
