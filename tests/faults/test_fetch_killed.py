"""A fetch that is killed, detached, stopped, doubled, or runs out of disk."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import small_disk
from support.fetching import REPO, WEIGHTS, Fetcher, fetcher
from support.model_hub import Fault
from support.output_schema import strict
from support.patience import HANG_SECONDS

from jobs.processes import identity
from server_bundle.doctor.facts import fetched

CONTENT = os.urandom(6_000_000)
FILES = {"config.json": b"{}", WEIGHTS: CONTENT}
SLACK = 300_000
"""Bytes on their way when the process is killed: the client's block and buffers."""


@pytest.fixture
def fetch(tmp_path: Path, ktjob_home: Path) -> Iterator[Fetcher]:
    with fetcher(tmp_path, FILES) as one:
        yield one


def assert_whole(fetch: Fetcher) -> None:
    assert {path: (fetch.to / path).read_bytes() for path in FILES} == FILES
    record = fetched.read(fetch.to)
    assert record is not None and record.unchecked == []


def status(fetch: Fetcher) -> dict[str, object]:
    (seen,) = json.loads(fetch("--status", "--json").stdout)
    strict("fetches").validate(seen)
    assert isinstance(seen, dict)
    return seen


@pytest.mark.promise
def test_kill_9_in_mid_file_costs_what_was_on_its_way(
    fetch: Fetcher, until: Callable[..., object]
) -> None:
    """Twice, in a terminal; then detached, with the end of the terminal, and again with `kill -9`.
    The bytes on the wire are those of the file, and what was in buffers."""
    kept = 0
    for step in (1, 2):
        held = threading.Event()
        fetch.hub.fail(WEIGHTS, Fault(after=1_500_000, hold=held))
        running = fetch.start(REPO, "--to", str(fetch.to))
        until(lambda step=step: fetch.partial_bytes() > 1_500_000 * step - SLACK * step)
        running.kill()
        running.communicate(timeout=HANG_SECONDS)
        held.set()
        kept = fetch.partial_bytes()
        assert status(fetch)["state"] == "cut off"
    again = f"ktserver fetch {REPO} --to {fetch.to}"
    seen = status(fetch)
    assert "was killed" in str(seen["message"]) and again in str(seen["message"])
    written = Path(str(seen["log"])).with_name("progress.json")
    text = written.read_text()
    written.write_text(text.replace(identity.boot_id(), "the boot before"))
    assert "the machine was restarted" in (shown := fetch("--status").stdout) and again in shown
    held = threading.Event()
    fetch.hub.fail(WEIGHTS, Fault(after=1_500_000, hold=held))
    started = fetch.into("--detach")
    assert "fetching in the background" in started.stderr
    until(lambda: fetch.partial_bytes() > kept + 1_500_000 - SLACK)
    seen = status(fetch)
    assert seen["state"] == "running" and isinstance(seen["pid"], int)
    assert os.getsid(seen["pid"]) != os.getsid(0)
    # A second one into the same folder is refused, and says which process it is.
    assert f"process {seen['pid']}" in fetch.into(code=1).stderr
    os.kill(seen["pid"], signal.SIGKILL)
    until(lambda: status(fetch)["state"] == "cut off")
    held.set()
    kept = fetch.partial_bytes()
    before = fetch.hub.sent[WEIGHTS]
    fetch.into("--detach")
    until(lambda: status(fetch)["state"] == "finished")
    assert_whole(fetch)
    assert fetch.hub.sent[WEIGHTS] - before == len(CONTENT) - kept


def test_a_detached_fetch_is_stopped_by_its_folder(
    fetch: Fetcher, until: Callable[..., object]
) -> None:
    """It ends itself, and continues later; a fetch that waits for the hub ends at once too."""
    fetch.hub.fail(WEIGHTS, *(Fault(status=503, retry_after="500") for _ in range(3)))
    fetch.into("--detach")
    until(lambda: "HTTP 503" in str(status(fetch)["message"]))
    assert "stopped; what has arrived" in fetch("--stop", "--to", str(fetch.to)).stderr
    assert status(fetch)["state"] == "stopped"
    assert "no fetch into" in fetch(REPO, "--stop", "--to", str(fetch.to)).stderr
    fetch.hub.faults.clear()
    fetch.into()
    assert_whole(fetch)


def test_a_detached_fetch_that_fails_says_why(fetch: Fetcher, until: Callable[..., object]) -> None:
    """In --status and in its log; the reason survives."""
    fetch.hub.fail(WEIGHTS, *(Fault(change=lambda _: b"0" * len(CONTENT)) for _ in range(2)))
    fetch.into("--detach")
    until(lambda: status(fetch)["state"] == "failed")
    seen = status(fetch)
    assert "arrived 2 times with a wrong checksum" in str(seen["message"])
    assert "arrived 2 times with a wrong checksum" in Path(str(seen["log"])).read_text()
    assert "failed" in fetch("--status").stdout


@pytest.mark.mount
def test_a_full_disk_keeps_what_has_arrived(fetch: Fetcher, tmp_path: Path) -> None:
    """The message names the disk; with space, only the rest is fetched."""
    with small_disk.mounted(tmp_path / "disk") as disk:
        fetch.to = tmp_path / "disk" / "weights"
        disk.fill(leave_kib=3000)
        assert "are needed and" in fetch.into(code=1).stderr
        failed = fetch.into("--force", code=1)
        assert "its disk is full" in failed.stderr and "same command" in failed.stderr
        kept = fetch.partial_bytes()
        assert kept > 1_000_000
        before = fetch.hub.sent[WEIGHTS]
        disk.free()
        fetch.into("--force")
        assert_whole(fetch)
        assert fetch.hub.sent[WEIGHTS] - before == len(CONTENT) - kept
