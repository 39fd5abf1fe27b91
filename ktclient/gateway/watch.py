"""Wakes those who wait for a job when it has something new to say.

One thread polls SQLite's `data_version`, which costs microseconds, and reads the heads of all
watched jobs in one statement after a commit. Its watchers cost nothing while nothing changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator

from jobs.errors import KtjobError
from jobs.store.http.store import HttpStore
from jobs.store.http.values import Head
from jobs.store.state_dir import StateDir

POLL_SECONDS = 0.02
"""How late a change is seen at most, besides the time of the reads."""
IDLE_SECONDS = 5.0
"""How long the thread sleeps at most while nobody watches."""
_LOG = logging.getLogger("ktjob")


class Subscription:
    """One waiter for one job. Used in the event loop only."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.head: Head | None = None
        """The last head that was seen; None before the first, or where there is no such job."""
        self._changed = asyncio.Event()

    async def changed(self, seconds: float) -> bool:
        """Wait until the head is another one than at the last call; False after so many seconds."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        was_set = self._changed.is_set()
        self._changed.clear()
        return was_set

    def tell(self, head: Head | None) -> None:
        self.head = head
        self._changed.set()


class Watch:
    """All subscriptions of a gateway. `start` and `stop` in the event loop's thread."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._all: dict[str, set[Subscription]] = {}
        self._is_fresh = False
        """Whether a job was added whose head was not read yet."""
        self._wake = threading.Event()
        self._is_over = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heads: dict[str, Head] = {}

    def start(self) -> None:
        """Begin to poll. Needs a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._poll, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._is_over = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def watchers(self) -> int:
        """How many wait now."""
        with self._lock:
            return sum(map(len, self._all.values()))

    def is_watched(self, job_id: str) -> bool:
        """Whether anybody waits for this job. Callable in any thread."""
        with self._lock:
            return job_id in self._all

    @contextlib.contextmanager
    def job(self, job_id: str) -> Iterator[Subscription]:
        """A subscription to a job, told its head at once and after every change."""
        one = Subscription(job_id)
        with self._lock:
            self._all.setdefault(job_id, set()).add(one)
            self._heads.pop(job_id, None)
            self._is_fresh = True
        self._wake.set()
        try:
            yield one
        finally:
            with self._lock:
                others = self._all[job_id]
                others.discard(one)
                if not others:
                    del self._all[job_id]
                    self._heads.pop(job_id, None)

    def _poll(self) -> None:
        store: HttpStore | None = None
        version = -1
        while not self._is_over:
            has_watchers = bool(self._all)
            self._wake.wait(POLL_SECONDS if has_watchers else IDLE_SECONDS)
            self._wake.clear()
            try:
                store = store or HttpStore.open(self._state)
                now = store.data_version()
                if has_watchers and (now != version or self._is_fresh):
                    version = now
                    self._look(store)
            except KtjobError as error:  # a full or absent disk: jobs go on, and so does this
                _LOG.warning("the gateway cannot read the job database for now: %s", error)
                self._wake.wait(1.0)
        if store is not None:
            store.close()

    def _look(self, store: HttpStore) -> None:
        with self._lock:
            self._is_fresh = False
            ids = list(self._all)
        found = store.heads(ids)
        with self._lock:
            for job_id in ids:
                head = found.get(job_id)
                if job_id in self._heads and self._heads[job_id] == head:
                    continue
                if head is not None:
                    self._heads[job_id] = head
                for one in self._all.get(job_id, ()):
                    self._post(one, head)

    def _post(self, one: Subscription, head: Head | None) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(one.tell, head)
