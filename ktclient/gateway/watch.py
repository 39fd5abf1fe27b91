"""Wakes those who wait for a job when it has something new to say.

One thread polls SQLite's `data_version`, which costs microseconds. After a commit it reads the
heads of the running jobs and of those with a new event: a queued job says nothing without one but
the marks of other gateways, for which all are read once a second. So thousands of silent waiters
cost next to nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Iterator

from jobs.errors import KtjobError
from jobs.model import Status
from jobs.store.http.store import HttpStore
from jobs.store.http.values import Head
from jobs.store.state_dir import StateDir
from ktclient.gateway import store_threads

POLL_SECONDS = 0.02
"""How late a change is seen at most, besides the time of the reads."""
IDLE_SECONDS = 1.0
"""How late the thread notices, while nobody watches, that files of the database were removed."""
ALL_SECONDS = 1.0
"""How often all heads are read at most."""
AWAY_SECONDS = 0.5
"""How soon a store that cannot be used is tried again."""
_LOG = logging.getLogger("ktjob")


class Subscription:
    """One waiter for one job. Used in the event loop only."""

    __slots__ = ("_is_new", "_waiter", "head", "job_id")

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.head: Head | None = None
        """The last head that was seen; None before the first, or where there is no such job."""
        self._is_new = False
        self._waiter: asyncio.Future[None] | None = None

    async def changed(self, seconds: float) -> bool:
        """Wait until the head is another one than at the last call; False after so many seconds."""
        if not self._is_new:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(seconds, self._end_wait)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        was_new, self._is_new = self._is_new, False
        return was_new

    def tell(self, head: Head | None) -> None:
        """Wake the waiter."""
        self.head, self._is_new = head, True
        self._end_wait()

    def _end_wait(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Watch:
    """All subscriptions of a gateway. `start` and `stop` in the event loop's thread."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._all: dict[str, set[Subscription]] = {}
        self._fresh: set[str] = set()
        """Watched jobs whose heads were not read yet."""
        self._heads: dict[str, Head | None] = {}
        """The heads of watched jobs, as their waiters know them."""
        self._wake = threading.Event()
        self._is_over = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to poll. Needs a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._poll, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. One that waits for a disk ends with the process."""
        self._is_over = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(store_threads.CLOSE_SECONDS)

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
            is_known = job_id in self._heads
            if is_known:
                one.tell(self._heads[job_id])
            else:
                self._fresh.add(job_id)
        if not is_known:
            self._wake.set()
        try:
            yield one
        finally:
            with self._lock:
                self._leave(one)

    def _leave(self, one: Subscription) -> None:
        others = self._all[one.job_id]
        others.discard(one)
        if not others:
            del self._all[one.job_id]
            self._heads.pop(one.job_id, None)
            self._fresh.discard(one.job_id)

    # -- in the thread

    def _poll(self) -> None:
        store: HttpStore | None = None
        view = _View()
        is_away = False
        while not self._is_over:
            self._wake.wait(POLL_SECONDS if self._all else IDLE_SECONDS)
            self._wake.clear()
            try:
                store = self._usable(store, view)
                self._look(store, view)
            except KtjobError as error:  # a full or absent disk: jobs go on, and so does this
                if not is_away:
                    _LOG.warning("the job database cannot be read for now: %s", error)
                is_away = True
                view.forget()
                self._wake.wait(AWAY_SECONDS)
                continue
            if is_away:
                _LOG.warning("the job database can be read again")
            is_away = False
        if store is not None:
            store.close()

    def _usable(self, known: HttpStore | None, view: _View) -> HttpStore:
        store = store_threads.usable(known, self._state)
        if store is not known:
            store.on_reopened = view.forget
            view.forget()
        return store

    def _look(self, store: HttpStore, view: _View) -> None:
        """Read what may have changed, and wake those who wait for it."""
        with self._lock:
            fresh = set(self._fresh)
        version = store.data_version()
        now = time.monotonic()
        has_changed = version != view.version
        view.version = version
        view.is_behind |= has_changed
        wanted = fresh
        if view.is_behind and now - view.all_read_at >= ALL_SECONDS:
            view.is_behind, view.all_read_at = False, now
            view.last_event = store.last_event()
            wanted = self._watched()
        elif has_changed:
            wanted = fresh | self._running()
            if view.last_event is not None:
                last = store.last_event()
                wanted |= store.jobs_with_events_since(view.last_event) & self._watched()
                view.last_event = last
        if wanted:
            self._tell(wanted, store.heads(wanted))

    def _watched(self) -> set[str]:
        with self._lock:
            return set(self._all)

    def _running(self) -> set[str]:
        with self._lock:
            running = Status.RUNNING
            return {name for name, head in self._heads.items() if head and head.status == running}

    def _tell(self, wanted: set[str], found: dict[str, Head]) -> None:
        news: list[tuple[Subscription, Head | None]] = []
        with self._lock:
            self._fresh -= wanted
            for job_id in wanted & self._all.keys():
                head = found.get(job_id)
                if job_id not in self._heads or self._heads[job_id] != head:
                    self._heads[job_id] = head
                    news += [(one, head) for one in self._all[job_id]]
        if news:
            assert self._loop is not None
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(_tell_all, news)


class _View:
    """What the thread has seen of the store."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """As at the start: the database may be another one now."""
        self.version = -1
        self.last_event: int | None = None
        self.is_behind = True
        self.all_read_at = float("-inf")


def _tell_all(news: list[tuple[Subscription, Head | None]]) -> None:
    for one, head in news:
        one.tell(head)
