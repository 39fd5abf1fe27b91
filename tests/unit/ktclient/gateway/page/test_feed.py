"""The events of a page: what it hears while nothing changes, and when its stream ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from support.page_jobs import put
from support.patience import HANG_SECONDS

from jobs.processes import identity
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.config import settings as config
from ktclient.gateway.context import Caller, Gateway
from ktclient.gateway.page import feed
from ktclient.gateway.page.board import Board
from ktclient.gateway.page.feed import Feed, Opened, Page
from ktclient.gateway.store_threads import StoreThreads
from ktclient.gateway.watch import Watch

Event = tuple[str, dict[str, object], str]
"""Name, data and id."""


async def heard(events: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """The events as a browser takes them apart."""
    async for one in events:
        lines = dict(line.split(": ", 1) for line in one.decode().strip().splitlines())
        if "event" in lines:
            yield lines["event"], json.loads(lines["data"]), lines.get("id", "")


def run(state: StateDir, work: Callable[[Gateway, Board], Awaitable[None]]) -> None:
    async def main() -> None:
        settings = config.load({"KTJOB_HOME": str(state.root), "KTJOB_SERVER": "embedded"}, text="")
        gateway = Gateway(settings, StoreThreads(state), Watch(state))
        gateway.watch.start()
        try:
            await asyncio.wait_for(work(gateway, Board(gateway)), HANG_SECONDS)
        finally:
            gateway.watch.stop()
            gateway.threads.close()

    asyncio.run(main())


async def always() -> bool:
    return True


def test_a_quiet_page_hears_a_beat(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a job open too, of which nothing new is to be said."""
    monkeypatch.setattr(feed, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(feed, "CHECK_SECONDS", 0.02)
    with HttpStore.open(state) as store:
        (job,) = put(store, "quiet")
        store.request_cancel(job.id)

    async def work(gateway: Gateway, board: Board) -> None:
        names = []
        page = Page(Caller(), Opened(job.id), "", always)
        async for name, _, _ in heard(Feed(gateway, board, page).events()):
            names.append(name)
            if names.count("beat") == 3:
                break
        assert names[0] == "hello"
        assert {"queue", "job", "text"} <= set(names)
        assert names.count("job") == 1

    run(state, work)


def test_a_prefill_is_followed_though_it_writes_nothing(state: StateDir) -> None:
    """Its progress is no output: the job's own head does not change."""
    with HttpStore.open(state) as store:
        (job,) = put(store, "read")
        store.claim(job.id, identity.mine())

    async def work(gateway: Gateway, board: Board) -> None:
        page, done = Page(Caller(), Opened(job.id), "", always), 0
        async for name, data, _ in heard(Feed(gateway, board, page).events()):
            if name != "job":
                continue
            if data["done"] == 200:
                break
            done += 100
            with HttpStore.open_existing(state) as store:
                store.set_progress(job.id, 1, done, 1000, "tokens")

    run(state, work)


def test_a_stream_ends_when_its_page_may_not_look_any_more(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as when the first key is made: the page then asks for one."""
    monkeypatch.setattr(feed, "CHECK_SECONDS", 0.02)
    with HttpStore.open(state) as store:
        put(store, "a job")
    answers = iter([True, True, False])

    async def may_look() -> bool:
        return next(answers)

    async def work(gateway: Gateway, board: Board) -> None:
        page = Page(Caller(), Opened(), "", may_look)
        assert [name async for name, _, _ in heard(Feed(gateway, board, page).events())]

    run(state, work)


def test_a_job_of_another_key_is_not_there(state: StateDir) -> None:
    """As one that does not exist."""
    with HttpStore.open(state) as store:
        (job,) = put(store, "secret", owner="bob")

    async def work(gateway: Gateway, board: Board) -> None:
        for job_id in (job.id, "nothere0"):
            page = Page(Caller("ada", is_admin=False), Opened(job_id), "", always)
            async for name, data, _ in heard(Feed(gateway, board, page).events()):
                assert "secret" not in str(data)
                if name == "gone":
                    assert data["id"] == job_id
                    break

    run(state, work)
