"""The state of a run, as other processes read it after whatever ended the one that wrote it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.processes import identity
from server_bundle.transfers import progress
from server_bundle.transfers.progress import Progress, Record


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path / "progress.json", tmp_path / "lock")


@pytest.mark.promise
def test_what_ended_without_a_word_is_read_from_the_lock_and_the_boot(record: Record) -> None:
    """Held: it runs. Free: it was killed, or, by the boot in the state, the machine restarted."""
    assert record.read() is None
    lock = identity.hold(record.lock)
    assert lock is not None
    record.write(Progress(done=3, total=9, rate=2.0, left=3.0, current=("a",)))
    seen = record.read()
    assert seen is not None and seen.is_running and (seen.left, seen.current) == (3.0, ("a",))
    lock.release()
    cut = record.read()
    assert cut is not None and (cut.phase, cut.message) == (progress.CUT, progress.KILLED)
    assert (cut.done, cut.left, cut.is_running) == (3, None, False)
    state = json.loads(record.path.read_text())
    record.path.write_text(json.dumps({**state, "boot": "another", "of_a_later_version": 1}))
    restarted = record.read()
    assert restarted is not None and restarted.message == progress.RESTARTED


def test_an_end_stays_what_it_was(record: Record) -> None:
    record.show(Progress(done=3, total=9))
    record.show(Progress(done=8, total=9))  # too soon to be written, and still the last one
    record.end(progress.FAILED, "no room")
    seen = record.read()
    assert seen is not None and (seen.phase, seen.message, seen.done) == ("failed", "no room", 8)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"current": 3}'])
def test_a_damaged_state_is_none(record: Record, text: str) -> None:
    record.path.write_text(text)
    assert record.read() is None
