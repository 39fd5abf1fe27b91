"""A database of every schema version that ever was is opened, for ever."""

from __future__ import annotations

import gzip
import re
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database
from support import small_disk

from jobs.errors import StoreTooNew, StoreUnusable
from jobs.model import Capacity, NewJob
from jobs.store import sql
from jobs.store.files import opening, schema
from jobs.store.files.opening import SCHEMA_VERSION
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

pytestmark = pytest.mark.each_python

DATABASES = Path(__file__).parents[4] / "data" / "databases"


def test_there_is_one_of_each_version() -> None:
    """Raising the version means checking in a database of it."""
    versions = sorted(int(path.name.split(".")[0][1:]) for path in DATABASES.glob("v*.db.gz"))
    assert versions == list(range(1, SCHEMA_VERSION + 1))
    assert len(sql.migrations()) == SCHEMA_VERSION


@pytest.mark.parametrize("path", sorted(DATABASES.glob("v*.db.gz")), ids=lambda path: path.name)
def test_each_is_what_it_says(path: Path, tmp_path: Path) -> None:
    """Made by its own version, and not migrated since."""
    copy = tmp_path / "copy.db"
    copy.write_bytes(gzip.decompress(path.read_bytes()))
    assert f"v{version_of(copy)}.db.gz" == path.name


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


@pytest.mark.parametrize("path", sorted(DATABASES.glob("v*.db.gz")), ids=lambda path: path.name)
def test_it_opens_with_all_that_is_in_it_and_takes_new_jobs(path: Path, state: StateDir) -> None:
    """Its jobs in each state, its text, its events."""
    state.database.write_bytes(gzip.decompress(path.read_bytes()))
    with Store.open(state) as store:
        jobs = {job.title: job for job in store.newest(10)}
        states = {title: job.state for title, job in jobs.items()}
        assert states == {
            "succeeded": "SUCCEEDED",
            "failed": "FAILED",
            "cancelled": "CANCELLED",
            "lost": "LOST",
            "queued": "QUEUED",
        }
        answer = store.pieces(jobs["succeeded"].id, 1)
        assert "".join(piece.text for piece in answer) == "红楼梦 is long."
        assert store.document(jobs["queued"].document) == "满纸荒唐言".encode()
        assert len(store.attempts(jobs["lost"].id)) == 2
        assert store.events(jobs["failed"].id)[0].kind == "submitted"
        store.submit(NewJob("pool", "{}", b"new", "new"), Capacity(slots=1))


Migration = Callable[[str], None]
WIDER = "ALTER TABLE jobs ADD COLUMN wider INTEGER NOT NULL DEFAULT 0;"
BROKEN = "CREATE TABLE half (x); INSERT INTO jobs (nonsense) VALUES (1);"
LARGE = (
    "CREATE TABLE filler AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
    "WHERE i < 4000) SELECT i, randomblob(4000) AS b FROM n;"
)


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Migration:
    """Become the version after this one, with this script as its migration."""

    def upgrade(script: str) -> None:
        folder = tmp_path / "sql"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for path in sql.MIGRATIONS.glob("[0-9]*.sql"):
            shutil.copy(path, folder)
        (folder / f"{SCHEMA_VERSION + 1:04}_next.sql").write_text(script)
        monkeypatch.setattr(sql, "MIGRATIONS", folder)
        monkeypatch.setattr(opening, "SCHEMA_VERSION", SCHEMA_VERSION + 1)

    return upgrade


def old_database(state: StateDir) -> None:
    newest = DATABASES / f"v{SCHEMA_VERSION}.db.gz"
    state.database.write_bytes(gzip.decompress(newest.read_bytes()))


def titles(state: StateDir) -> set[str]:
    with Store.open(state) as store:
        return {job.title for job in store.newest(100)}


def test_a_copy_is_kept_before_a_migration(
    state: StateDir, next_version: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all that the old version wrote to the last moment, private, and usable by it."""
    old_database(state)
    with Store.open(state) as writer:  # an old process that still has it open
        writer.submit(NewJob("pool", "{}", b"late", "late"), Capacity(slots=1))
        before = titles(state)
        next_version(WIDER)
        assert titles(state) == before
    copy = state.schema_backup(SCHEMA_VERSION)
    assert version_of(state.database) == SCHEMA_VERSION + 1
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in state.root.glob(".*")] == []
    monkeypatch.undo()
    with pytest.raises(StoreTooNew):
        Store.open(state)
    shutil.copy(copy, state.database)
    for beside in ("-wal", "-shm"):
        state.database.with_name(state.database.name + beside).unlink(missing_ok=True)
    assert titles(state) == before


def test_a_new_database_needs_no_copy(state: StateDir) -> None:
    """There is nothing to go back to."""
    assert titles(state) == set()
    assert list(state.root.glob("*.bak")) == []


def test_a_new_database_is_as_sqlite_utils_makes_it(state: StateDir, tmp_path: Path) -> None:
    """Its tables and the record of its migrations: the next version goes on from there."""
    Store.open(state).close()
    with (
        closing(sqlite3.connect(state.database)) as ours,
        closing(sqlite3.connect(tmp_path / "theirs.db")) as theirs,
    ):
        theirs.execute("BEGIN")
        schema._migrations().apply(Database(theirs, execute_plugins=False))
        for query in (
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name",
            "SELECT migration_set, name FROM _sqlite_migrations ORDER BY id",
        ):
            assert ours.execute(query).fetchall() == theirs.execute(query).fetchall()
        when = "SELECT substr(applied_at, 1, 14) || substr(applied_at, -6) FROM _sqlite_migrations"
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\+00:00", ours.execute(when).fetchone()[0])


def test_the_next_version_migrates_a_new_database(state: StateDir, next_version: Migration) -> None:
    """It runs only what is new."""
    with Store.open(state) as store:
        store.submit(NewJob("pool", "{}", b"kept", "kept"), Capacity(slots=1))
    next_version(WIDER)
    assert titles(state) == {"kept"}
    assert version_of(state.database) == SCHEMA_VERSION + 1


def test_a_migration_that_fails_leaves_the_old_database(
    state: StateDir, next_version: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was, for the old version to go on with; the error says so."""
    old_database(state)
    before = titles(state)
    next_version(BROKEN)
    with pytest.raises(StoreUnusable, match=rf"is unchanged.*schema-{SCHEMA_VERSION}\.bak"):
        Store.open(state)
    monkeypatch.undo()
    assert titles(state) == before
    with closing(sqlite3.connect(state.database)) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()


@pytest.mark.mount
@pytest.mark.parametrize("leave_kib", [60, 400])
def test_a_full_disk_stops_a_migration_before_it_begins_or_undoes_it(
    tmp_path: Path, next_version: Migration, monkeypatch: pytest.MonkeyPatch, leave_kib: int
) -> None:
    """Full at the copy, or in the middle of the script: the old version goes on."""
    with small_disk.mounted(tmp_path / "disk") as disk:
        state = StateDir(disk.path / "state").create()
        old_database(state)
        before = titles(state)
        disk.fill(leave_kib)
        next_version(LARGE)
        with pytest.raises(StoreUnusable, match="disk is full"):
            Store.open(state)
        assert state.schema_backup(SCHEMA_VERSION).exists() is (leave_kib > 100)
        monkeypatch.undo()
        disk.free()
        assert version_of(state.database) == SCHEMA_VERSION
        assert titles(state) == before
