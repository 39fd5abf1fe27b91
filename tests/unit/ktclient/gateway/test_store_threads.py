"""The store's threads: bounded, patient, and with the database that is there now."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support.patience import HANG_SECONDS

from jobs.errors import StoreTooNew, StoreTorn, StoreUnusable
from jobs.store.files import open_files
from jobs.store.files.open_files import BESIDE
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway import store_threads
from ktclient.gateway.store_threads import CHECKERS, READERS, StoreThreads

ADD_KEY = f"""
import sys
from pathlib import Path
from jobs.store.files import open_files
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir

open_files.WAIT_SECONDS = {HANG_SECONDS}
with HttpStore.open_existing(StateDir(Path(sys.argv[1]))) as store:
    store.add_api_key("k2", "from another process", "h2", is_admin=False, expires_at=None)
"""


@pytest.fixture
def used(state: StateDir) -> StateDir:
    """A state directory with a database, in which there is one key."""
    with HttpStore.open(state) as store:
        store.add_api_key("k1", "one", "h1", is_admin=False, expires_at=None)
    return state


def names(store: HttpStore) -> list[str]:
    return [key.name for key in store.api_keys()]


def run(state: StateDir, work: Callable[[StoreThreads], Awaitable[None]]) -> None:
    """Run a test with the threads of a state directory."""

    async def main() -> None:
        threads = StoreThreads(state)
        try:
            await asyncio.wait_for(work(threads), HANG_SECONDS)
        finally:
            threads.close()

    asyncio.run(main())


def remove_beside(state: StateDir) -> None:
    for end in BESIDE:
        Path(f"{state.database}{end}").unlink()


def test_calls_run_in_a_bounded_number_of_threads(used: StateDir) -> None:
    """Each with its result or its error; a call that is cancelled before it begins never does."""
    seen: set[str] = set()
    begun = threading.Semaphore(0)
    gate = threading.Event()

    def note(store: HttpStore) -> list[str]:
        seen.add(threading.current_thread().name)
        begun.release()
        gate.wait(HANG_SECONDS)
        return names(store)

    def never() -> None:
        seen.add("never")

    async def work(threads: StoreThreads) -> None:
        calls = [asyncio.ensure_future(threads.store(note)) for _ in range(3 * READERS)]
        blocks = [asyncio.ensure_future(threads.check(gate.wait)) for _ in range(CHECKERS)]
        late = asyncio.ensure_future(threads.check(never))
        for _ in range(READERS):
            await asyncio.to_thread(begun.acquire)
        late.cancel()
        gate.set()
        assert await asyncio.gather(*calls) == [["one"]] * (3 * READERS)
        assert all(await asyncio.gather(*blocks))
        with pytest.raises(ZeroDivisionError):
            await threads.check(lambda: 1 // 0)

    run(used, work)
    assert seen == {f"store {number}" for number in range(READERS)}


def test_removed_files_are_let_go_by_idle_threads_too(used: StateDir) -> None:
    """Else no other process could use the database any more. What it writes is read then."""

    async def work(threads: StoreThreads) -> None:
        await asyncio.gather(*(threads.store(names) for _ in range(READERS)))
        remove_beside(used)
        argv = [sys.executable, "-c", ADD_KEY, str(used.root)]
        told = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        assert sorted(await threads.store(names)) == ["from another process", "one"]

    run(used, work)


def test_a_new_connection_never_shares_removed_files(
    used: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would give it the removed -shm beside a new -wal: its commits would be lost."""
    monkeypatch.setattr(open_files, "WAIT_SECONDS", 0.05)
    with HttpStore.open_existing(used) as first:
        assert names(first) == ["one"]
        remove_beside(used)
        with pytest.raises(StoreTorn):
            HttpStore.open_existing(used)
        assert names(first) == ["one"]  # it opens them again
        with HttpStore.open_existing(used) as second:
            second.add_api_key("k2", "two", "h2", is_admin=False, expires_at=None)
        assert sorted(names(first)) == ["one", "two"]


def test_another_database_in_its_place_is_used(used: StateDir, tmp_path: Path) -> None:
    """Also if it is another queue. While there is none, requests are refused, and none is made."""

    async def work(threads: StoreThreads) -> None:
        assert await threads.store(names) == ["one"]
        used.root.rename(tmp_path / "away")
        with pytest.raises(StoreUnusable):
            await threads.store(names)
        other = StateDir(used.root).create()
        with HttpStore.open(other) as store:
            store.add_api_key("k9", "other", "h9", is_admin=False, expires_at=None)
        assert await threads.store(names) == ["other"]
        for path in used.root.glob("ktjob.db*"):
            path.unlink()
        with pytest.raises(StoreUnusable):
            await threads.store(names)
        assert not used.database.exists()

    run(used, work)


def test_a_read_of_an_open_answer_waits_for_the_store(used: StateDir, tmp_path: Path) -> None:
    """As long as it is out of sight; it does not wait for what does not pass."""

    async def work(threads: StoreThreads) -> None:
        used.root.rename(tmp_path / "away")
        read = asyncio.ensure_future(threads.patient(names))
        with pytest.raises(StoreUnusable):
            await threads.store(names)
        assert not read.done()
        (tmp_path / "away").rename(used.root)
        assert await read == ["one"]

    run(used, work)
    with HttpStore.open_existing(used) as store:
        store._connection.execute("PRAGMA user_version = 99")

    async def refused(threads: StoreThreads) -> None:
        with pytest.raises(StoreTooNew):
            await threads.patient(names)

    run(used, refused)


def test_the_end_does_not_wait_for_a_call_that_hangs(
    used: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does the interpreter, as it does for the threads of concurrent.futures."""
    monkeypatch.setattr(store_threads, "CLOSE_SECONDS", 0.05)
    gate, begun = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        gate.wait(HANG_SECONDS)

    async def work(threads: StoreThreads) -> None:
        task = asyncio.ensure_future(threads.check(hang))
        await asyncio.to_thread(begun.wait)
        threads.close()
        with pytest.raises(StoreUnusable, match="stopping"):
            await threads.check(hang)
        task.cancel()

    run(used, work)
    hung = [one for one in threading.enumerate() if one.name.startswith("check ")]
    assert hung and all(one.daemon for one in hung)
    gate.set()
    for one in hung:
        one.join(HANG_SECONDS)
