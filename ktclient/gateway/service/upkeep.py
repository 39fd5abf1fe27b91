"""What a gateway does besides answering: a thread that looks after the queue and its own files.

While clients wait, dead workers are found and a runner is kept alive, although nobody runs a
command; what was to be deleted is deleted; a long log is put aside.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import KtjobError
from jobs.processes.code_version import LoadedCode
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from jobs.system import heap
from jobs.upkeep import log_rotation
from ktclient.gateway import delivery, store_threads
from ktclient.gateway.files import expiry
from ktclient.gateway.service import late_modules
from ktclient.gateway.watch import Watch
from ktclient.records import access

LOOK_SECONDS = 3.0
"""How soon a dead runner or worker is noticed while clients wait."""
QUIET_SECONDS = 30.0
"""The same while none waits: jobs in the background have nobody else either."""
SWEEP_SECONDS = 60.0
_LOG = logging.getLogger("ktjob")


@dataclass(frozen=True)
class Chores:
    """What is done besides."""

    renew: Callable[[], None] = lambda: None
    """Makes the gateway's lock file again if it was removed."""
    note: Callable[[int], None] = lambda streams: None
    """Records how many clients wait."""
    log: Path | None = None
    """The log that this process may write to."""


class Upkeep:
    """The thread."""

    def __init__(self, state: StateDir, watch: Watch, chores: Chores) -> None:
        self._state, self._watch, self._chores = state, watch, chores
        self._store: HttpStore | None = None
        self._stop = threading.Event()
        self._code: LoadedCode | None = None
        self._is_outdated = False
        self._warned = ""
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin with a sweep."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. One that starts a runner now ends with the process."""
        self._stop.set()
        self._thread.join(store_threads.CLOSE_SECONDS)

    def _run(self) -> None:
        heap.keep_small()
        late_modules.load()
        self._code = LoadedCode()
        looked_at = swept_at = float("-inf")
        while not self._stop.is_set():
            now = time.monotonic()
            if now - swept_at >= SWEEP_SECONDS:
                swept_at = now
                self._do(self._sweep)
            watchers = self._watch.watchers
            self._do(functools.partial(self._chores.note, watchers))
            if now - looked_at >= (LOOK_SECONDS if watchers else QUIET_SECONDS):
                looked_at = now
                self._do(self._look)
            self._do(self._let_go)
            self._stop.wait(store_threads.REST_SECONDS)
        if self._store is not None:
            self._store.close()

    def _do(self, work: Callable[[], None]) -> None:
        """Do it, and log once what prevents it: it is tried again."""
        try:
            work()
        except (KtjobError, OSError) as error:
            if str(error) != self._warned:
                self._warned = str(error)
                _LOG.warning("%s", error)

    def _look(self) -> None:
        self._store = store_threads.usable(self._store, self._state)
        access.recover_and_wake(self._store, self._state)
        self._warned = ""

    def _let_go(self) -> None:
        """Close files that were removed: see `StoreThreads`."""
        if self._store is not None and self._store.is_gone:
            self._store = store_threads.usable(self._store, self._state)

    def _sweep(self) -> None:
        heap.give_back()
        if self._chores.log is not None:
            log_rotation.rotate_own(self._chores.log)
        self._chores.renew()
        if self._state.has_database():
            delivery.sweep(self._state)
            expiry.sweep(self._state)
        is_replaced = self._code is not None and self._code.has_changed()
        if is_replaced and not self._is_outdated:
            self._is_outdated = True
            _LOG.warning(
                "ktjob's program files were replaced. This gateway continues with those that it "
                "has loaded. Restart it soon: requests and jobs are kept"
            )
