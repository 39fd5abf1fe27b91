"""Who waits for a job hears of every change, and costs nothing while there is none."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

import pytest
from support.patience import HANG_SECONDS

from jobs.model import Capacity, NewJob, Outcome, Piece
from jobs.processes import identity
from jobs.store.http.store import HttpStore
from jobs.store.http.values import Head
from jobs.store.state_dir import StateDir
from jobs.upkeep import garbage
from ktclient.gateway import watch as watches
from ktclient.gateway.watch import Subscription, Watch


def submit(state: StateDir, count: int) -> list[str]:
    """Queued jobs, in a database that is made for them if need be."""
    new = [
        NewJob(pool="p", spec="{}", document=b"%d" % number, title="t", weight=1)
        for number in range(count)
    ]
    with HttpStore.open(state) as store:
        return [job.id for job in store.submit_all(new, Capacity())]


def change(state: StateDir, work: Callable[[HttpStore], object]) -> None:
    """As another process does it: with a connection of its own."""
    with HttpStore.open_existing(state) as store:
        work(store)


def run(state: StateDir, work: Callable[[Watch], Awaitable[None]]) -> None:
    async def main() -> None:
        watch = Watch(state)
        watch.start()
        try:
            await asyncio.wait_for(work(watch), HANG_SECONDS)
        finally:
            watch.stop()

    asyncio.run(main())


async def until(one: Subscription, is_it: Callable[[Head | None], bool]) -> None:
    """Until its head is such a one."""
    while not is_it(one.head):
        await one.changed(HANG_SECONDS)


def test_a_waiter_hears_of_every_change_of_its_job(state: StateDir) -> None:
    """Claimed, progress, output, requeued and finished; and another job's waiter of none of it."""
    mine, other = submit(state, 2)

    async def work(watch: Watch) -> None:
        with watch.job(mine) as one, watch.job(other) as silent:
            await until(one, lambda head: head is not None and head.status == "QUEUED")
            assert await silent.changed(HANG_SECONDS)
            assert watch.is_watched(mine) and watch.watchers == 2
            change(state, lambda store: store.claim(mine, identity.mine()))
            await until(one, lambda head: head is not None and head.status == "RUNNING")
            change(state, lambda store: store.append(mine, 1, [Piece(1, "answer", "Well")]))
            await until(one, lambda head: head is not None and head.pieces == 1)
            change(state, lambda store: store.mark_progress(mine, 1, 1, {"done": 1}, 0.0))
            await until(one, lambda head: head is not None and head.marks == 1)
            change(state, lambda s: s.finish(mine, 1, Outcome.SUCCEEDED, None, None))
            await until(one, lambda head: head is not None and head.outcome == "SUCCEEDED")
            with watch.job(mine) as late:
                assert await late.changed(HANG_SECONDS) and late.head == one.head
            assert not await silent.changed(0.0)
        assert not watch.is_watched(mine) and watch.watchers == 0

    run(state, work)


def test_a_mark_of_a_queued_job_is_heard_of(state: StateDir) -> None:
    """It has no event: another gateway may have written it."""
    (mine,) = submit(state, 1)

    async def work(watch: Watch) -> None:
        with watch.job(mine) as one:
            await until(one, lambda head: head is not None)
            change(state, lambda store: store.mark_progress(mine, 0, 0, {"ahead": 3}, 0.0))
            await until(one, lambda head: head is not None and head.marks == 1)

    run(state, work)


def test_a_job_that_is_not_there_has_no_head(state: StateDir) -> None:
    """Neither before it is submitted nor after it is deleted; its waiter hears of both."""
    (mine,) = submit(state, 1)

    async def work(watch: Watch) -> None:
        with watch.job("nothing") as nothing, watch.job(mine) as one:
            assert await nothing.changed(HANG_SECONDS) and nothing.head is None
            await until(one, lambda head: head is not None)
            change(state, lambda store: store.request_cancel(mine))
            await until(one, lambda head: head is not None and head.status == "FINISHED")
            garbage.delete_job(state, mine)
            await until(one, lambda head: head is None)
            assert not await nothing.changed(0.0)

    run(state, work)


def test_silent_waiters_are_not_read_at_each_commit(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a job writes, only its own head is read: thousands of queued ones cost nothing."""
    monkeypatch.setattr(watches, "ALL_SECONDS", HANG_SECONDS)
    busy, *queued = submit(state, 200)
    change(state, lambda store: store.claim(busy, identity.mine()))
    read: list[int] = []
    heads = HttpStore.heads

    def counted(store: HttpStore, ids: Collection[str]) -> dict[str, Head]:
        read.append(len(ids))
        return heads(store, ids)

    monkeypatch.setattr(HttpStore, "heads", counted)

    async def work(watch: Watch) -> None:
        subscriptions = [watch.job(one) for one in queued]
        silent = [one.__enter__() for one in subscriptions]
        with watch.job(busy) as one:
            for other in (*silent, one):
                assert await other.changed(HANG_SECONDS)
            read.clear()
            for seq in range(1, 6):
                change(state, lambda s, seq=seq: s.append(busy, 1, [Piece(seq, "answer", "w")]))
                await until(one, lambda head, seq=seq: head is not None and head.pieces == seq)
            assert read and set(read) == {1}
        for subscription in subscriptions:
            subscription.__exit__(None, None, None)

    run(state, work)


def test_it_waits_for_a_store_that_is_away_and_reads_the_one_that_comes(
    state: StateDir, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Moved away, back, and replaced by a copy that was made before: nobody is told of an end
    that did not happen, and all hear what is true at last."""
    (mine,) = submit(state, 1)
    shutil.copytree(state.root, tmp_path / "copy")

    async def work(watch: Watch) -> None:
        with watch.job(mine) as one:
            await until(one, lambda head: head is not None)
            state.root.rename(tmp_path / "away")
            while "cannot be read for now" not in caplog.text:
                assert not await one.changed(0.01)
            (tmp_path / "away").rename(state.root)
            change(state, lambda store: store.claim(mine, identity.mine()))
            await until(one, lambda head: head is not None and head.status == "RUNNING")
            assert caplog.text.count("cannot be read for now") == 1
            shutil.rmtree(state.root)
            (tmp_path / "copy").rename(state.root)
            await until(one, lambda head: head is not None and head.status == "QUEUED")

    run(state, work)
