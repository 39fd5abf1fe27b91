"""Servers that were found and queried a moment ago, so that not every request asks them again."""

from __future__ import annotations

import threading
import time

from ktclient.submission.chat_request import KnownServer

FRESH_SECONDS = 5.0
"""How long what a server said of itself is used for further requests. The worker asks again."""
_MOST = 64

Key = tuple[str | None, str | None]
"""The server and the model as they were asked for."""


class Targets:
    """Of one gateway. Callable in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[Key, tuple[float, KnownServer]] = {}

    def get(self, key: Key) -> KnownServer | None:
        """The server, if it was asked within `FRESH_SECONDS`."""
        with self._lock:
            at, server = self._found.get(key, (float("-inf"), None))
        return server if time.monotonic() - at < FRESH_SECONDS else None

    def keep(self, key: Key, server: KnownServer) -> None:
        """Remember a server that has just been asked; not one that is being started."""
        if server.target.facts is None or server.target.is_embedded:
            return
        with self._lock:
            self._found.pop(key, None)
            while len(self._found) >= _MOST:
                del self._found[next(iter(self._found))]
            self._found[key] = (time.monotonic(), server)

    def drop(self, key: Key) -> None:
        """Ask again: something that was said is not so any more."""
        with self._lock:
            self._found.pop(key, None)
