"""Waiting in asyncio: real jobs, a real loop, and nothing that holds it up."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang

from jobs.store.state_dir import StateDir
from ktclient import errors, submit_long

pytestmark = pytest.mark.each_python


@pytest.fixture
def server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ktjob_home: Path
) -> Iterator[FakeServer]:
    options = ("--answer", "one two three four", "--token-seconds", "0.05")
    with fake_sglang(tmp_path, *options) as server:
        monkeypatch.setenv("KTJOB_SERVER", server.url)
        yield server


def test_several_are_awaited_at_once_without_a_thread(server: FakeServer) -> None:
    """In one loop and one thread."""
    jobs = [submit_long(f"Text {number}.") for number in range(3)]
    before = threading.active_count()

    async def all_of_them() -> list[str]:
        answers = await asyncio.gather(*(job.awaited() for job in jobs))
        assert threading.active_count() == before
        return answers

    assert asyncio.run(all_of_them()) == ["one two three four"] * 3


def test_watch_and_stream(server: FakeServer) -> None:
    """The states in order, and the text whole."""
    job = submit_long("A text.")

    async def follow() -> tuple[list[str], str]:
        text = "".join([piece async for piece in job.astream()])
        return [now.state async for now in job.awatch()], text

    assert asyncio.run(follow()) == (["SUCCEEDED"], "one two three four")


@pytest.mark.promise
def test_a_locked_database_does_not_hold_up_the_loop(server: FakeServer, state: StateDir) -> None:
    """Locked against all readers for as long as the test likes; then the answer comes."""
    job = submit_long("A text.")
    job.wait()

    async def meanwhile() -> str:
        locker = sqlite3.connect(state.database, isolation_level=None, timeout=60)
        locker.execute("PRAGMA locking_mode = EXCLUSIVE")
        locker.execute("BEGIN EXCLUSIVE")
        waiting = asyncio.create_task(job.awaited())
        turns, begun = 0, time.monotonic()
        while turns <= 10 or time.monotonic() < begun + 1.5:
            await asyncio.sleep(0.01)
            turns += 1
            assert time.monotonic() < begun + 30, "SQLite's own 30 s hold the loop up"
        locker.rollback()
        locker.close()
        return await waiting

    assert asyncio.run(meanwhile()) == "one two three four"


def test_giving_up_leaves_the_job_alone(tmp_path: Path, server: FakeServer) -> None:
    """By time and by cancellation."""
    (tmp_path / "slow").mkdir()
    with fake_sglang(tmp_path / "slow", "--prefill-seconds", "600") as slow:
        job = submit_long("A text.", server=slow.url)

        async def give_up() -> None:
            with pytest.raises(errors.NotFinished, match="it is still running"):
                await job.awaited(0.1)
            task = asyncio.create_task(job.awaited())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(give_up())
        assert not job.status().is_finished
        job.cancel()
        with pytest.raises(errors.JobCancelled):
            asyncio.run(job.awaited())


def test_a_dead_runner_is_replaced(
    server: FakeServer, kill_runner: Callable[[], int], until: Callable[..., object]
) -> None:
    """Nobody else looks: the waiting itself has the job go on."""
    with_first = submit_long("First.")
    with_first.wait()
    kill_runner()
    from jobs.runner import start
    from jobs.store.store import Store
    from ktclient.config import settings as config

    state = config.load().state
    until(lambda: not start.is_runner_alive(state))
    with Store.open(state) as store:
        old = store.job(with_first.id)
        from jobs.model import Capacity, NewJob

        document = store.document(old.document)
        new = NewJob(pool=old.pool, spec=old.spec, document=document, title="Next.", weight=1)
        stored = store.submit(new, Capacity())
    from ktclient.api.async_wait import EndWatcher

    async def wait() -> str:
        watcher = EndWatcher(stored.id, config.state_dir())
        async for now, _ in watcher.looks(None):
            state_of_it = now.state
        return state_of_it

    assert asyncio.run(wait()) == "SUCCEEDED"


def test_a_notebook_shows_a_job(server: FakeServer) -> None:
    """By the method that IPython calls."""
    job = submit_long("A <b>text</b>.", label="<i>mine</i>")
    job.wait()
    shown = job._repr_html_()
    assert job.id in shown and "SUCCEEDED" in shown
    assert "<i>" not in shown and "&lt;i&gt;mine" in shown
    assert job.status()._repr_html_() == shown
