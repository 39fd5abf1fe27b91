"""rm, gc and backup: what is removed is gone, what is not stays, and a copy is whole."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import identity, upkeep
from jobs.errors import IllegalTransition
from jobs.layout import StateDir
from jobs.model import NewJob, Outcome, Piece
from jobs.store import Store

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
        command = [*ktjob_command, *args]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)

    return run


def finished(state: StateDir, document: bytes = b"text", days_ago: int = 0) -> str:
    """A job that ended so long ago."""
    with Store.open(state) as store:
        job = store.submit(NewJob("pool", SPEC, document, "title"), 1)
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
        job = store.submit(NewJob("pool", SPEC, b"text", "title"), 1)
    with pytest.raises(IllegalTransition, match="ktjob cancel"):
        upkeep.forget(state, job.id)
    assert rows(state)["jobs"] == rows(state)["documents"] == 1


def test_gc_removes_by_age_and_can_only_say_so(state: StateDir, run: Run) -> None:
    """Old ones go, young ones stay."""
    old, young = finished(state, days_ago=40), finished(state, days_ago=2)
    said = run("gc", "--older-than", "30d", "--dry-run")
    assert (said.returncode, said.stdout.split()) == (0, [old])
    assert rows(state)["jobs"] == 2
    assert run("gc", "--older-than", "30d").stdout.split() == [old]
    assert run("status", young).returncode == 0
    assert run("gc", "--older-than", "tomorrow").returncode == 2


def test_a_backup_is_a_whole_database(state: StateDir, run: Run, tmp_path: Path) -> None:
    """Taken while it is in use, readable as a state directory's own; never half."""
    job_id = finished(state)
    with Store.open(state):
        assert run("backup", "copy.db").returncode == 0
    other = StateDir(tmp_path / "other").create()
    (tmp_path / "copy.db").rename(other.database)
    with Store.open(other) as store:
        assert store.job(job_id).state == "SUCCEEDED"
        assert [piece.text for piece in store.pieces(job_id, 1)] == ["words"]
    failed = run("backup", "no/such/folder/copy.db")
    assert failed.returncode == 1 and "copy.db" in failed.stderr


def test_a_sound_database_has_no_problems_and_a_damaged_one_has(state: StateDir) -> None:
    """What doctor will show."""
    finished(state)
    with upkeep.Upkeep.open(state) as database:
        assert database.problems() == []
        database.checkpoint()
    connection = sqlite3.connect(state.database)
    with connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DELETE FROM documents")
    connection.close()
    with upkeep.Upkeep.open(state) as database:
        assert any("jobs" in problem for problem in database.problems())


def test_a_long_log_is_put_aside_once(tmp_path: Path) -> None:
    """Two generations, no more."""
    log = tmp_path / "runner.log"
    upkeep.rotate(log)
    log.write_bytes(b"x" * (upkeep.LOG_BYTES + 1))
    upkeep.rotate(log)
    assert not log.exists() and (tmp_path / "runner.log.1").exists()
    log.write_bytes(b"short")
    upkeep.rotate(log)
    assert log.exists()
