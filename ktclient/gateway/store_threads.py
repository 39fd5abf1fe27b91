"""The store for an event loop: each call runs in one of a few threads, with a connection of its
own, which is opened again where the database was replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from jobs.errors import KtjobError, StoreUnusable
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.records import access

READERS = 4
"""Threads for short statements. SQLite's writers wait for one another anyway."""
CHECKERS = 4
"""Threads for checks of requests, which count tokens and may query a server for seconds."""
CLOSE_SECONDS = 2.0
"""How long `close` waits for calls that have begun. A thread that takes longer ends with the
process, as at a kill: the store bears that."""
REST_SECONDS = 1.0
"""How soon a thread that has nothing to do notices that files of the database were removed."""
AWAY_LOOK_SECONDS, AWAY_MOST_SECONDS = 0.2, 5.0
"""How soon a store that cannot be used is tried again: first, and at most."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class StoreThreads:
    """Runs functions beside the event loop."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._own = threading.local()
        self._short = _Pool("store", READERS, self._check_own, self._close_own)
        self._long = _Pool("check", CHECKERS, lambda: None, lambda: None)

    async def store(
        self, work: Callable[Concatenate[HttpStore, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Run a short function of the store, given first. Raises what it raises, `StoreUnusable`
        while the store cannot be used."""
        call = functools.partial(self._with_store, work, *args, **kwargs)
        return await self._short.run(call)

    async def patient(
        self, work: Callable[Concatenate[HttpStore, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Like `store`, but for as long as its disk is full, locked or out of sight it waits: for
        answers that have begun. Raises `StoreUnusable` only where waiting is of no use."""
        rest = AWAY_LOOK_SECONDS
        while True:
            try:
                return await self.store(work, *args, **kwargs)
            except KtjobError as error:
                if not access.is_away(error):
                    raise
            await asyncio.sleep(rest)
            rest = min(2 * rest, AWAY_MOST_SECONDS)

    async def check(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run a function that may take seconds. Raises what it raises."""
        return await self._long.run(functools.partial(work, *args, **kwargs))

    def close(self) -> None:
        """Wait `CLOSE_SECONDS` at most for what runs; what has not begun is cancelled."""
        until = time.monotonic() + CLOSE_SECONDS
        self._long.end(until)
        self._short.end(until)

    def _with_store(
        self, work: Callable[Concatenate[HttpStore, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        return work(self._own_store(), *args, **kwargs)

    def _own_store(self) -> HttpStore:
        found: HttpStore | None = getattr(self._own, "store", None)
        self._own.store = found = usable(found, self._state)
        return found

    def _check_own(self) -> None:
        """Close files that were removed: while this process has them open, others cannot use the
        database."""
        found: HttpStore | None = getattr(self._own, "store", None)
        if found is not None and found.is_gone:
            with contextlib.suppress(KtjobError):
                self._own_store()

    def _close_own(self) -> None:
        found: HttpStore | None = getattr(self._own, "store", None)
        if found is not None:
            found.close()


def usable(known: HttpStore | None, state: StateDir) -> HttpStore:
    """The store that is in a state directory now: the known one, which opens its own files again
    where they were removed, else a new connection.

    Never creates one: a folder that is not mounted for a moment must stay empty. Nor does it use
    one that was moved away, because requests are submitted to the one in its place. Raises
    `StoreUnusable`.
    """
    if known is not None and not known.is_gone:
        return known
    if known is not None and state.has_database():
        with contextlib.suppress(StoreUnusable):
            known.data_version()  # it finds its files again, if they are those of the same queue
        if not known.is_gone:
            return known
    fresh = HttpStore.open_existing(state)
    if known is not None:
        known.leave()
    return fresh


class _Pool:
    """Daemon threads, started when they are needed: the interpreter waits at its exit for those of
    concurrent.futures, however long they take."""

    def __init__(
        self, name: str, most: int, at_rest: Callable[[], None], at_end: Callable[[], None]
    ) -> None:
        self._name, self._most = name, most
        self._at_rest, self._at_end = at_rest, at_end
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._is_over = False

    async def run(self, call: Callable[[], _T]) -> _T:
        """Its result, or what it raises. In the event loop's thread."""
        if self._is_over:
            raise StoreUnusable("the gateway is stopping")
        task = _Task(call)
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
            thread = threading.Thread(
                target=self._work, name=f"{self._name} {len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        self._tasks.put(task)
        result: _T = await task.future
        return result

    def end(self, until: float) -> None:
        """No call begins any more; wait until then (monotonic seconds) for those that have."""
        self._is_over = True
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=REST_SECONDS)
            except queue.Empty:
                self._at_rest()
                continue
            if task is None:
                break
            if not self._is_over:
                task.run()
            del task  # what it was given may be large
            self._idle.release()
        self._at_end()


class _Task:
    """A call, and who waits for it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self._loop.create_future()

    def run(self) -> None:
        if self.future.done():  # nobody waits any more, and it has not begun
            return
        result, error = None, None
        try:
            result = self._call()
        except BaseException as raised:
            error = raised
        try:
            self._loop.call_soon_threadsafe(_settle, self.future, result, error)
        except RuntimeError:  # the loop was closed meanwhile
            return


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
