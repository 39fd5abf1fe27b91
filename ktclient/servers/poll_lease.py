"""One poller for each server: the process that holds its lease polls, all others read the results.

The lease is a flock, which the kernel drops when its holder dies, however it dies. Readings are a
small file, replaced at each poll. Their times are of CLOCK_MONOTONIC, which on Linux is one clock
for all processes since boot (clock_gettime(2)); the boot id is stored beside them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import asdict
from typing import Any

from jobs import draft
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from ktclient.servers.gauges import Reading

KEPT = 8
"""Readings in the file, so that a process that reads less often than they come misses none."""

Seen = tuple[Reading, float]
"""A reading and its time (monotonic seconds)."""


def key_of(url: str) -> str:
    """The base name of a server's files."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


class PollLease:
    """The lease on polling one server, and its readings. For one thread."""

    def __init__(self, state: StateDir, url: str) -> None:
        key = key_of(url)
        self._lease, self._readings = state.watch_lock(key), state.watched(key)
        self._held: identity.HeldLock | None = None
        self._told: list[Seen] = []

    def acquire(self) -> bool:
        """Whether this process polls: it holds the lease, or has just acquired it."""
        if self._held is None:
            try:
                self._held = identity.hold(self._lease)
                if self._held is not None:
                    self._held.sign()
                    self._told = self.latest()  # other processes may not have read them yet
            except OSError:  # the disk is full, or the state directory gone
                self.end()
        return self._held is not None

    def publish(self, reading: Reading, moment: float) -> None:
        """Publish a reading to the other processes. Nothing waits for it: if the disk is full, they
        only miss it."""
        self._told = [*self._told, (reading, moment)][-KEPT:]
        rows = [[asdict(one), at] for one, at in self._told]
        text = json.dumps({"boot": identity.boot_id(), "readings": rows})
        prefix = draft.prefix_of(self._readings)  # only the holder writes
        with contextlib.suppress(OSError):
            draft.write(self._readings, text, is_synced=False, prefix=prefix)

    def latest(self, after: float = 0.0) -> list[Seen]:
        """The readings of this boot after a time, from the current or an earlier poller. Unreadable
        data counts as none."""
        try:
            told: Any = json.loads(self._readings.read_text(encoding="utf-8"))
            if told["boot"] != identity.boot_id():
                return []
            seen = [(Reading(**one), float(at)) for one, at in told["readings"]]
        except (OSError, ValueError, TypeError, KeyError):
            return []
        return [(one, at) for one, at in seen if after < at <= time.monotonic()]

    def end(self) -> None:
        """Release the lease."""
        held, self._held = self._held, None
        if held is not None:
            held.release()
