"""The queue and the servers, read once for all pages that are open, and only while one is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator

from jobs.errors import KtjobError, NothingStored
from jobs.model import Status
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.context import Gateway
from ktclient.gateway.page import queue, servers
from ktclient.gateway.page.queue import Queue
from ktclient.gateway.page.servers import Record
from ktclient.records import access, troubles

LOOK_SECONDS = 0.7
"""How often the queue is read at most: with 10,000 jobs one read takes 30 ms."""
LOAD_SECONDS = 5.0
"""How often the servers are asked for their load."""
REPORT_SECONDS = 3.0
"""How long an answer of all servers is used without another question."""
RECOVER_SECONDS = 5.0
"""How often it is checked that each running job has a process: the runner does that too."""
_LOG = logging.getLogger("ktjob")


class Viewer:
    """One open page. Used in the event loop only."""

    def __init__(self, owner: str | None) -> None:
        self.owner = owner
        self.changed = asyncio.Event()
        self.queue: Queue | None = None
        self.servers: list[Record] | None = None
        self.trouble = ""
        """Why the queue cannot be read for now, or why no job starts."""


class Board:
    """All open pages of a gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._viewers: set[Viewer] = set()
        self._chores: dict[str, asyncio.Task[None]] = {}
        self._queues: dict[str | None, Queue] = {}
        self._versions: dict[tuple[int, str | None], tuple[int, int]] = {}
        self._servers: list[Record] | None = None
        self._reports: list[Record] = []
        self._reported_until, self._reporting = 0.0, asyncio.Lock()
        self._runner = ""
        """Why queued jobs do not start."""

    @contextlib.contextmanager
    def viewer(self, owner: str | None) -> Iterator[Viewer]:
        """A page that looks at an owner's jobs; None: everybody's."""
        one = Viewer(owner)
        one.servers = self._servers
        self._viewers.add(one)
        self._start("queues", LOOK_SECONDS, self._read_queues)
        self._start("servers", LOAD_SECONDS, self._read_servers)
        self._start("recovery", RECOVER_SECONDS, self._recover)
        try:
            yield one
        finally:
            self._viewers.discard(one)

    def _start(self, name: str, seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
        before = self._chores.get(name)
        if before is None or before.done():
            self._chores[name] = asyncio.create_task(self._repeat(chore, seconds))

    async def _repeat(self, chore: Callable[[], Awaitable[None]], seconds: float) -> None:
        """Until the last page is closed."""
        while self._viewers:
            try:
                await chore()
            except KtjobError as error:
                _LOG.warning("the page cannot be brought up to date for now: %s", error)
            await asyncio.sleep(seconds)

    async def reports(self) -> list[Record]:
        """What `ktjob servers` says, once for all who ask within `REPORT_SECONDS`."""
        async with self._reporting:
            if time.monotonic() >= self._reported_until:
                settings = self._gateway.settings
                self._reports = await self._gateway.threads.check(servers.reported, settings)
                self._reported_until = time.monotonic() + REPORT_SECONDS
            return self._reports

    async def _read_queues(self) -> None:
        owners = {one.owner for one in self._viewers}
        for owner in owners:
            trouble = self._runner
            try:
                found = await self._gateway.threads.store(self._changed_queue, owner)
            except KtjobError as error:
                found, trouble = None, str(error)
            if found is not None:
                self._queues[owner] = found
            for one in self._viewers:
                if one.owner == owner:
                    self._show(one, self._queues.get(owner), trouble)
        for owner in self._queues.keys() - owners:
            del self._queues[owner]

    def _show(self, one: Viewer, now: Queue | None, trouble: str) -> None:
        if one.queue is not now or one.trouble != trouble:
            one.queue, one.trouble = now, trouble
            one.changed.set()

    def _changed_queue(self, store: HttpStore, owner: str | None) -> Queue | None:
        """The queue, if it changed since this thread read it last; in a thread."""
        key, version = (id(store), owner), store.version()
        if owner in self._queues and self._versions.get(key) == version:
            return None
        self._versions[key] = version
        return queue.read(store, owner)

    async def _read_servers(self) -> None:
        own = await self._gateway.threads.store(servers.ours)
        found = await self._gateway.threads.check(servers.read, self._gateway.settings, own)
        if found == self._servers:
            return
        self._servers = found
        for one in self._viewers:
            one.servers = found
            one.changed.set()

    async def _recover(self) -> None:
        self._runner = await self._gateway.threads.check(_recover, self._gateway.settings.state)


def _recover(state: StateDir) -> str:
    """Why queued jobs do not start, if there are any; empty if nothing is wrong."""
    with contextlib.suppress(NothingStored), access.open_recovered(state) as store:
        return (troubles.of_runner(state) or "") if store.has(Status.QUEUED) else ""
    return ""
