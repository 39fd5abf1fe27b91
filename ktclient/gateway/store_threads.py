"""The store for an event loop: each call runs in one of a few threads, with a connection of its
own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir

READERS = 4
"""Threads for short statements. SQLite's writers wait for one another anyway."""
CHECKERS = 4
"""Threads for checks of requests, which count tokens and may query a server for seconds."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class StoreThreads:
    """Runs functions beside the event loop. `close` waits for those that run."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._of_thread = threading.local()
        self._opened: list[HttpStore] = []
        self._short = ThreadPoolExecutor(READERS, "store")
        self._long = ThreadPoolExecutor(CHECKERS, "check")

    async def store(
        self, work: Callable[Concatenate[HttpStore, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Run a short function of the store, given first. Raises what it raises."""
        call = functools.partial(self._with_store, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._short, call)

    async def check(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run a function that may take seconds. Raises what it raises."""
        call = functools.partial(work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._long, call)

    def _with_store(
        self, work: Callable[Concatenate[HttpStore, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        return work(self._own_store(), *args, **kwargs)

    def _own_store(self) -> HttpStore:
        found: HttpStore | None = getattr(self._of_thread, "store", None)
        if found is None:
            found = self._of_thread.store = HttpStore.open(self._state)
            self._opened.append(found)
        return found

    def close(self) -> None:
        self._long.shutdown(cancel_futures=True)
        self._short.shutdown(cancel_futures=True)
        for store in self._opened:
            with contextlib.suppress(Exception):  # the process ends, and the store outlives it
                store.close()
