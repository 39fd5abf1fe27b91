"""rm, gc and backup: what is removed is gone, what is not stays, and a copy is whole."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support import commands, processes

from jobs.errors import IllegalTransition
from jobs.model import Capacity, NewJob, Outcome, Piece
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.upkeep import adoption, garbage, log_rotation
from jobs.worker import recovery

SPEC = json.dumps(
    {
        "version": 1,
        "task": {"kind": "summarize", "text": ""},
        "server": "http://127.0.0.1:9",
        "model": None,
        "max_tokens": 1,
        "timeout": 1.0,
    }
)
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(ktjob_command: list[str], tmp_path: Path) -> Run:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return commands.ran([*ktjob_command, *args], tmp_path)

    return run


def finished(state: StateDir, document: bytes = b"text", days_ago: int = 0) -> str:
    """A job that ended so long ago."""
    with Store.open(state) as store:
        job = store.submit(NewJob("pool", SPEC, document, "title"), Capacity(slots=1))
        number = store.claim(job.id, identity.mine()).number
        store.append(job.id, number, [Piece(1, "answer", "words")])
        store.finish(job.id, number, Outcome.SUCCEEDED, None, None)
    state.job_log(job.id).touch()
    connection = sqlite3.connect(state.database)
    with connection:
        connection.execute(
            "UPDATE jobs SET finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?) WHERE id = ?",
            (f"-{days_ago} days", job.id),
        )
        if days_ago:  # by the time since boot this process began today, whatever the rows say
            connection.execute("UPDATE attempts SET boot_id = 'before' WHERE job_id = ?", (job.id,))
    connection.close()
    return job.id


def rows(state: StateDir) -> dict[str, int]:
    connection = sqlite3.connect(state.database)
    try:
        names = ("jobs", "attempts", "pieces", "events", "documents")
        return {n: connection.execute(f"SELECT count(*) FROM {n}").fetchone()[0] for n in names}
    finally:
        connection.close()


def test_a_removed_job_leaves_nothing(state: StateDir, run: Run) -> None:
    """Rows, log and lock; a document that another job has stays."""
    first, second = finished(state, b"shared"), finished(state, b"shared")
    assert run("rm", first[:6]).returncode == 0
    assert rows(state) == {"jobs": 1, "attempts": 1, "pieces": 1, "events": 3, "documents": 1}
    assert run("rm", second).returncode == 0
    assert set(rows(state).values()) == {0}
    assert not state.job_log(first).exists() and not state.worker_lock(first).exists()
    assert run("result", first).returncode == 3


def test_a_job_that_has_not_ended_is_not_removed(state: StateDir) -> None:
    """The message says how to end it."""
    with Store.open(state) as store:
        job = store.submit(NewJob("pool", SPEC, b"text", "title"), Capacity(slots=1))
    with pytest.raises(IllegalTransition, match="ktjob cancel"):
        garbage.delete_job(state, job.id)
    assert rows(state)["jobs"] == rows(state)["documents"] == 1


def test_of_several_ids_all_are_removed_or_none(state: StateDir, run: Run) -> None:
    """One that has not ended, or is none, keeps the others from being removed."""
    first, second = finished(state), finished(state)
    with Store.open(state) as store:
        job = store.submit(NewJob("pool", SPEC, b"text", "title"), Capacity(slots=1))
        store.claim(job.id, identity.mine())
    lock = identity.hold(state.worker_lock(job.id))
    assert lock is not None
    said = run("rm", first, job.id, second)
    assert said.returncode == 1 and f"ktjob cancel {job.id}" in said.stderr
    assert run("rm", first, "nosuchjob").returncode == 3
    assert rows(state)["jobs"] == 3
    assert run("rm", first, second, first[:7]).returncode == 0
    lock.release()
    assert rows(state)["jobs"] == 1
    lock.release()


def test_the_space_of_what_is_removed_goes_back_to_the_disk(state: StateDir, run: Run) -> None:
    """Of a database made today in slices, of one made before by a rebuild while nothing runs."""
    kept, gone = finished(state, b"k"), finished(state, b"\0" * 8_000_000)
    assert run("rm", gone).returncode == 0
    assert occupied(state) < 1_000_000
    with garbage.Upkeep.open(state) as database:
        database._connection.execute("PRAGMA auto_vacuum = NONE")
        database._connection.execute("VACUUM")
    old = finished(state, b"\1" * 8_000_000, days_ago=9)
    assert run("gc", "--older-than", "1d").stdout.split() == [old]
    assert occupied(state) < 1_000_000
    assert run("status", kept).returncode == 0


def occupied(state: StateDir) -> int:
    return sum(path.stat().st_size for path in state.root.glob("ktjob.db*"))


def test_gc_keeps_a_size(state: StateDir, run: Run) -> None:
    """The first to have ended go, a shared document with the last that has it, never one that has
    not ended."""
    shared = b"\2" * 1_000_000
    first, second = finished(state, shared, days_ago=9), finished(state, shared, days_ago=8)
    third = finished(state, b"\3" * 1_000_000, days_ago=7)
    said = run("gc", "--keep-size", "1.5MB", "--dry-run")
    assert said.stdout.split() == [first, second]
    assert rows(state)["jobs"] == 3
    assert run("gc", "--keep-size", "1.5MB").stdout.split() == [first, second]
    assert run("status", third).returncode == 0
    assert occupied(state) < 1_500_000
    with Store.open(state) as store:
        store.claim(
            store.submit(NewJob("pool", SPEC, shared, "title"), Capacity(slots=1)).id,
            identity.mine(),
        )
        lock = identity.hold(state.worker_lock(store.newest(1)[0].id))
    said = run("gc", "--keep-size", "500KB")
    assert (said.returncode, said.stdout.split()) == (1, [third])
    assert "not ended" in said.stderr
    assert rows(state)["jobs"] == 1
    assert lock is not None
    lock.release()
    for wrong in ("much", "-1GB", "1XB"):
        assert run("gc", f"--keep-size={wrong}").returncode == 2


def test_gc_alone_says_what_it_needs(state: StateDir, run: Run) -> None:
    """And what there is; it removes nothing."""
    finished(state)
    said = run("gc")
    assert said.returncode == 2
    assert all(word in said.stderr for word in ("--older-than", "--keep-size", "1 job in", " MB"))
    assert rows(state)["jobs"] == 1


def test_gc_does_not_remove_what_ended_a_minute_ago_by_a_clock_that_was_set(
    state: StateDir, run: Run
) -> None:
    """Its rows say yesterday; the time since boot says today."""
    job_id = finished(state, days_ago=1)
    with sqlite3.connect(state.database) as connection:
        connection.execute("UPDATE attempts SET boot_id = ?", (identity.boot_id(),))
    connection.close()
    assert run("gc", "--older-than", "12h").stdout == ""
    assert run("status", job_id).returncode == 0
    assert run("gc", "--older-than", "0m").stdout.split() == [job_id]


def test_gc_sweeps_what_a_kill_left(state: StateDir, run: Run) -> None:
    """Logs and locks of jobs that are gone, and drafts; not those of jobs that are there."""
    job_id = finished(state)
    state.worker_lock(job_id).touch()
    left = [state.job_log("gone2345"), state.worker_lock("gone2345")]
    left.append(state.root / f".{state.database.name}.schema-1.bak.{2**22 + 1}")
    for path in left:
        path.touch()
    assert run("gc", "--older-than", "9w").returncode == 0
    assert not any(path.exists() for path in left)
    assert state.job_log(job_id).exists() and state.worker_lock(job_id).exists()


def test_gc_removes_by_age_and_can_only_say_so(state: StateDir, run: Run) -> None:
    """Old ones go, young ones stay."""
    old, young = finished(state, days_ago=40), finished(state, days_ago=2)
    said = run("gc", "--older-than", "30d", "--dry-run")
    assert (said.returncode, said.stdout.split()) == (0, [old])
    assert rows(state)["jobs"] == 2
    assert run("gc", "--older-than", "30d").stdout.split() == [old]
    assert run("status", young).returncode == 0
    for odd in ("tomorrow", "999999999w", "-1d", "1.5d"):
        said = run("gc", "--older-than", odd)
        assert said.returncode == 2 and odd in said.stderr and "Traceback" not in said.stderr


@pytest.mark.promise
def test_a_backup_is_a_whole_database(state: StateDir, run: Run, tmp_path: Path) -> None:
    """Taken while it is in use, readable as a state directory's own; never half."""
    job_id = finished(state)
    with Store.open(state):
        assert run("backup", "copy.db").returncode == 0
    other = StateDir(tmp_path / "other").create()
    (tmp_path / "copy.db").rename(other.database)
    with Store.open_to_read(other) as store:
        assert store.job(job_id).state == "SUCCEEDED"
        assert [piece.text for piece in store.pieces(job_id, 1)] == ["words"]
    failed = run("backup", "no/such/folder/copy.db")
    assert (
        failed.returncode == 1 and "copy.db" in failed.stderr and "existing folder" in failed.stderr
    )
    assert "KTJOB_HOME" not in failed.stderr, "the state directory is in order"
    assert run("backup", "-").returncode == 2 and not (tmp_path / "-").exists()


@pytest.mark.promise
def test_what_ran_in_a_backup_goes_on_where_it_is_put_back(state: StateDir, tmp_path: Path) -> None:
    """Copied in mid-request, the original lost: put back in its place, and elsewhere once it was
    adopted. Never running without end, its text kept."""
    ids = []
    with Store.open(state) as store:
        for most in (1, 2):
            new = NewJob("pool", SPEC, b"text", "title", max_attempts=most)
            job = store.submit(new, Capacity(slots=2))
            number = store.claim(job.id, processes.dead()).number
            store.append(job.id, number, [Piece(1, "answer", "half")])
            ids.append(job.id)
    other = StateDir(tmp_path / "other").create()
    for path in (tmp_path / "copy.db", other.database):
        with garbage.Upkeep.open(state) as database:
            database.backup(path)
    for path in state.root.glob("ktjob.db*"):
        path.unlink()
    adopted = adoption.adopt(other)
    assert adopted is not None and (adopted.queued, adopted.running) == (0, 2)
    (tmp_path / "copy.db").rename(state.database)
    for one in (state, other):
        with Store.open(one) as store:
            assert recovery.recover(store, one) == []
            assert [store.job(job_id).state for job_id in ids] == ["LOST", "QUEUED"]
            assert [store.pieces(job_id, 1)[0].text for job_id in ids] == ["half", "half"]
            assert bytes(store.document(store.job(ids[1]).document)) == b"text"


def test_a_backup_replaces_a_file_and_nothing_else(
    state: StateDir, run: Run, tmp_path: Path
) -> None:
    """An older backup is replaced as a whole; a document, a folder, a device or the database itself
    is not."""
    assert run("backup", "copy.db").returncode == 2, "nothing to copy yet"
    finished(state)
    assert run("backup", "copy.db").returncode == 0
    older = (tmp_path / "copy.db").stat().st_ino
    assert run("backup", "copy.db").returncode == 0
    assert (tmp_path / "copy.db").read_bytes().startswith(b"SQLite")
    assert (tmp_path / "copy.db").stat().st_ino != older
    (tmp_path / "book.txt").write_text("It was a dark and stormy night.")
    refused = run("backup", "book.txt")
    assert refused.returncode == 1 and "book.txt exists and is not a database" in refused.stderr
    assert (tmp_path / "book.txt").read_text() == "It was a dark and stormy night."
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.db").symlink_to(state.database)
    for target in ("folder", "/dev/null", str(state.database), "link.db"):
        said = run("backup", target)
        assert said.returncode == 1 and target in said.stderr and "Traceback" not in said.stderr
    assert rows(state)["jobs"] == 1
    assert list(tmp_path.glob(".*")) == []


def test_a_sound_database_has_no_problems_and_a_damaged_one_has(state: StateDir) -> None:
    """What doctor will show."""
    finished(state)
    with garbage.Upkeep.open(state) as database:
        assert database.problems() == []
        database.checkpoint()
    connection = sqlite3.connect(state.database)
    with connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DELETE FROM documents")
    connection.close()
    with garbage.Upkeep.open(state) as database:
        assert any("jobs" in problem for problem in database.problems())


def test_a_long_log_is_put_aside_once(tmp_path: Path) -> None:
    """Two generations, no more."""
    log = tmp_path / "runner.log"
    log_rotation.rotate(log)
    log.write_bytes(b"x" * (log_rotation.LOG_BYTES + 1))
    log_rotation.rotate(log)
    assert not log.exists() and (tmp_path / "runner.log.1").exists()
    log.write_bytes(b"short")
    log_rotation.rotate(log)
    assert log.exists()
