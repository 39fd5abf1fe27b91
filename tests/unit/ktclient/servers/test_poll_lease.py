"""The lease on polling a server, between real processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from jobs.processes import identity
from jobs.store.state_dir import StateDir
from ktclient.servers.gauges import METRICS, Reading
from ktclient.servers.poll_lease import KEPT, PollLease, key_of

URL = "http://127.0.0.1:40001"
HOLDER = """
import sys, time
from jobs.store.state_dir import StateDir
from pathlib import Path
from ktclient.servers.poll_lease import PollLease as OnePoller
from ktclient.servers.gauges import Reading
poller = OnePoller(StateDir(Path(sys.argv[1])), sys.argv[2])
assert poller.acquire()
poller.publish(Reading("metrics", 7, 1), time.monotonic())
print("holds", flush=True)
sys.stdin.read()
"""


@contextmanager
def holding(state: StateDir) -> Iterator[subprocess.Popen[str]]:
    """Another process that polls, and has seen 7 tokens."""
    command = [sys.executable, "-c", HOLDER, str(state.root), URL]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "holds\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def leases(state: StateDir) -> Iterator[Callable[..., PollLease]]:
    """Makes leases that end with the test."""
    with ExitStack() as made:

        def make(url: str = URL) -> PollLease:
            one = PollLease(state, url)
            made.callback(one.end)
            return one

        yield make


def test_one_process_polls_and_the_other_reads(
    state: StateDir, leases: Callable[..., PollLease]
) -> None:
    """Moments of another process compare with ours."""
    before = time.monotonic()
    mine = leases()
    with holding(state):
        assert not mine.acquire()
        ((reading, moment),) = mine.latest()
        assert reading == Reading(METRICS, 7, 1) and before < moment < time.monotonic()
        assert mine.latest(after=moment) == []
        assert leases("http://127.0.0.1:40002").acquire(), "another server"


def test_a_killed_holder_leaves_the_lease_and_what_it_saw(
    state: StateDir, until: Callable[..., object], leases: Callable[..., PollLease]
) -> None:
    """The kernel frees it; who takes over goes on with the readings."""
    mine = leases()
    with holding(state) as other:
        assert not mine.acquire()
        other.kill()
        until(mine.acquire)
    mine.publish(Reading(METRICS, 9, 0), time.monotonic())
    assert [reading.tokens for reading, _ in PollLease(state, URL).latest()] == [7, 9]
    holder = identity.holder(state.watch_lock(key_of(URL)))
    assert holder == identity.mine()
    mine.end()
    assert leases().acquire()


def test_only_the_last_are_kept(state: StateDir, leases: Callable[..., PollLease]) -> None:
    """So many that nobody misses one."""
    mine = leases()
    assert mine.acquire()
    for tokens in range(100):
        mine.publish(Reading(METRICS, tokens, 0), time.monotonic())
    assert [reading.tokens for reading, _ in mine.latest()] == list(range(100))[-KEPT:]
    assert [path.stat().st_mode & 0o777 for path in (state.root / "watch").iterdir()] == [0o600] * 2


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", '{"boot": "another", "readings": []}', '{"readings": [[1, 2]]}'],
)
def test_what_cannot_be_read_is_nothing(state: StateDir, text: str) -> None:
    """Of another boot, or half a file."""
    state.watched(key_of(URL)).write_text(text)
    assert PollLease(state, URL).latest() == []


def test_readings_of_another_boot_are_nothing(
    state: StateDir, leases: Callable[..., PollLease]
) -> None:
    """Its clock began anew."""
    mine = leases()
    assert mine.acquire()
    mine.publish(Reading(METRICS, 1, 0), time.monotonic())
    path = state.watched(key_of(URL))
    path.write_text(path.read_text().replace(identity.boot_id(), "of another boot"))
    assert mine.latest() == []


def test_without_a_state_directory_nobody_polls(tmp_path: Path) -> None:
    """It was removed: nothing is made there again."""
    gone = PollLease(StateDir(tmp_path / "gone"), URL)
    assert not gone.acquire() and gone.latest() == []
    gone.publish(Reading(METRICS, 1, 0), time.monotonic())
    assert not (tmp_path / "gone").exists()
