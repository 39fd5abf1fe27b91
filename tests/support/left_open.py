"""The sockets that a test leaves open in the process of the tests: found when it ends.

A socket that one test drops without closing it stays until the garbage collector comes by, which
complains in the middle of another test that has nothing to do with it; so does a file or a pipe
that an object of Python holds. So the file descriptors are counted after each test, which takes a
tenth of a millisecond, and only where there are new ones the garbage is collected. What is found
dropped then, and a socket that stays open, is the failure of this test.
"""

from __future__ import annotations

import gc
import os
import socket
import time
import warnings

Descriptors = dict[int, str]
"""Number -> what it is, as in /proc/self/fd."""

CLOSING_SECONDS = 60.0
"""How long a thread of the test may take to close what it has: it knows already that it ends, but
other processes may have the cores."""
LOOK_SECONDS = 0.005
KEPT = "/ktjob.db"
"""A connection to a database in whose place there is another, or none, stays open: SQLite would
remove the other one's log (`jobs.store.database.Database.leave`)."""

_kept: set[str] = set()


def keep(fd: int) -> None:
    """This one stays open as long as the process."""
    _kept.add(os.readlink(f"/proc/self/fd/{fd}"))


def descriptors() -> Descriptors:
    """All that this process has open."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # that of the listing, or one that a thread has just closed
    return found


def new(before: Descriptors) -> Descriptors:
    """What was opened since and is open now."""
    return {
        fd: what
        for fd, what in descriptors().items()
        if before.get(fd) != what and KEPT not in what and what not in _kept
    }


class Watch:
    """Compares what is open after each test with what was open before it."""

    def __init__(self) -> None:
        self._before: Descriptors = {}

    def begin(self) -> None:
        """Before each test."""
        if not self._before:
            self._before = descriptors()

    def allow(self, opened: Descriptors) -> None:
        """These stay open longer than one test, as fixtures of a module do."""
        self._before.update(opened)

    def look(self) -> str | None:
        """After a test: what it left open, or None."""
        found = _complaint(self._before) if new(self._before) else None
        self._before = descriptors()
        return found


def _complaint(before: Descriptors) -> str | None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        gc.collect()
    dropped = [str(one.message) for one in seen if issubclass(one.category, ResourceWarning)]
    if dropped:
        return f"this test dropped without closing: {'; '.join(dropped)}"
    give_up = time.monotonic() + CLOSING_SECONDS
    while left := {fd: what for fd, what in new(before).items() if what.startswith("socket:")}:
        if time.monotonic() > give_up:
            return f"this test left open: {'; '.join(_names(left))}"
        time.sleep(LOOK_SECONDS)
    return None


def _names(opened: Descriptors) -> list[str]:
    sockets = {one.fileno(): one for one in gc.get_objects() if isinstance(one, socket.socket)}
    return [f"{fd}: {sockets.get(fd, what)}" for fd, what in opened.items()]
