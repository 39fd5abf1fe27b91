"""`/events`: what one open page is told. Our own feed, so its events have an `id`, which a browser
that comes back sends again; what openai's clients read never has one.

The first events say everything, later ones what changed: a page that missed some needs no history.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass

from jobs.store.http.store import HttpStore
from ktclient._version import __version__
from ktclient.gateway import visibility
from ktclient.gateway.context import Caller, Gateway
from ktclient.gateway.page import groups, queue
from ktclient.gateway.page import job as jobs
from ktclient.gateway.page.board import Board, Viewer
from ktclient.gateway.page.groups import Members
from ktclient.gateway.page.job import Output, Record
from ktclient.gateway.page.queue import Queue
from ktclient.gateway.watch import Subscription
from ktclient.gateway.wire.errors import ApiError

BEAT_SECONDS = 15.0
"""At most so long a page hears nothing; after three times that it connects again."""
LIFE_SECONDS = 900.0
"""Then the page connects again, and shows its key again: it may have been removed."""
CHECK_SECONDS = 2.0
"""How often it is checked that the page may still look, where nothing else ends its stream."""
RETRY = b"retry: 1000\n\n"


def event(name: str, data: object, place: str = "") -> bytes:
    """One event. `place` names what the page has then."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    head = f"id: {place}\n" if place else ""
    return f"{head}event: {name}\ndata: {text}\n\n".encode("utf-8", "replace")


@dataclass(frozen=True)
class Opened:
    """The job, or the group, that a page has open."""

    job_id: str | None = None
    group_id: str | None = None


@dataclass(frozen=True)
class Page:
    """Who looks, and at what. `may_look`: whether it still may."""

    caller: Caller
    opened: Opened
    seen: str
    """The last `id` that it got before."""
    may_look: Callable[[], Awaitable[bool]]


class Feed:
    """The events of one page."""

    def __init__(self, gateway: Gateway, board: Board, page: Page) -> None:
        self._gateway, self._board, self._caller = gateway, board, page.caller
        self._may_look = page.may_look
        job_id, seen = page.opened.job_id, page.seen
        self._job_id, self._group_id = job_id, page.opened.group_id
        known, _, place = seen.partition(":")
        self._output = Output(place if known == job_id else "")
        self._queue, self._trouble = Queue(), ""
        self._is_first = True
        self._servers: list[Record] | None = None
        self._details: Record | None = None
        self._members: Members | None = None

    async def events(self) -> AsyncIterator[bytes]:
        """Until the page goes, or its time is over."""
        yield RETRY
        yield event("hello", {"version": __version__, "beat": BEAT_SECONDS})
        with ExitStack() as stack:
            viewer = stack.enter_context(self._board.viewer(self._caller.sees))
            job = None
            if self._job_id is not None:
                job = stack.enter_context(self._gateway.watch.job(self._job_id))
            waits: dict[str, asyncio.Task[object]] = {}
            try:
                async for told in self._told(waits, viewer, job):
                    yield told
            finally:
                for wait in waits.values():
                    wait.cancel()

    async def _told(
        self, waits: dict[str, asyncio.Task[object]], viewer: Viewer, job: Subscription | None
    ) -> AsyncIterator[bytes]:
        heard = begun = time.monotonic()
        while time.monotonic() - begun < LIFE_SECONDS and await self._may_look():
            has_changed = await _any(waits, viewer, job)
            is_other = viewer.queue is not self._queue
            told = self._of_board(viewer)
            if self._group_id is not None and is_other:
                told += await self._gateway.threads.patient(self._of_group)
            if has_changed and job is not None:  # a board changes with each step of a prefill
                told += await self._gateway.threads.patient(self._of_job)
            if not told and time.monotonic() - heard >= BEAT_SECONDS:
                told.append(event("beat", {}))
            for one in told:
                yield one
                heard = time.monotonic()

    def _of_board(self, viewer: Viewer) -> list[bytes]:
        viewer.changed.clear()
        told = []
        if viewer.queue is not None and (self._is_first or viewer.queue is not self._queue):
            told.append(event("queue", queue.changes(self._queue, viewer.queue)))
            self._queue, self._is_first = viewer.queue, False
        if viewer.servers is not None and viewer.servers is not self._servers:
            self._servers = viewer.servers
            told.append(event("servers", self._servers))
        if viewer.trouble != self._trouble:
            self._trouble = viewer.trouble
            told.append(event("trouble", {"message": self._trouble}))
        return told

    def _of_group(self, store: HttpStore) -> list[bytes]:
        """In a thread."""
        assert self._group_id is not None
        try:
            found = groups.members(store, self._caller, self._group_id)
        except ApiError as error:
            return [event("gone", {"id": self._group_id, "message": error.message})]
        before, self._members = self._members, found
        if found == before:
            return []
        return [event("group", groups.changes(before or Members(), found))]

    def _of_job(self, store: HttpStore) -> list[bytes]:
        """In a thread."""
        assert self._job_id is not None
        try:
            found = visibility.find(store, self._caller, self._job_id, "").job
        except ApiError as error:
            return [event("gone", {"id": self._job_id, "message": error.message})]
        told = []
        details = jobs.details(store, found, sees_all=self._caller.sees is None)
        if details != self._details:
            self._details = details
            told.append(event("job", details))
        text = self._output.read(store, found)
        if text is not None:
            place = f"{self._job_id}:{self._output.place}"
            told.append(event("text", {"id": self._job_id, **text}, place))
        return told


async def _any(
    waits: dict[str, asyncio.Task[object]], viewer: Viewer, job: Subscription | None
) -> bool:
    """Wait until something may have changed; False after `CHECK_SECONDS`."""
    if "board" not in waits:
        waits["board"] = asyncio.create_task(_forever(viewer))
    if job is not None and "job" not in waits:
        waits["job"] = asyncio.create_task(job.changed(BEAT_SECONDS))
    done, _ = await asyncio.wait(
        waits.values(), timeout=CHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED
    )
    for name in [name for name, one in waits.items() if one in done]:
        del waits[name]
    return bool(done)


async def _forever(viewer: Viewer) -> object:
    return await viewer.changed.wait()
