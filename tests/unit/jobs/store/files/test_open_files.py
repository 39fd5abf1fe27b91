"""Open files against those in the folder: whole, elsewhere, torn or removed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.store.files.open_files import BESIDE, Condition, Folder, OpenFiles


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    """In WAL mode, and open."""
    path = tmp_path / "state" / "some.db"
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (a)")
    yield path
    connection.close()


def beside(database: Path, end: str) -> Path:
    return database.with_name(database.name + end)


def test_a_folder_that_was_renamed_is_elsewhere(database: Path, tmp_path: Path) -> None:
    """And whole again when it is back; with another database in its place it is not."""
    files = OpenFiles(database)
    assert files.condition() is Condition.WHOLE
    database.parent.rename(tmp_path / "away")
    assert files.condition() is Condition.ELSEWHERE
    database.parent.mkdir()
    database.touch()
    assert files.condition() is Condition.ELSEWHERE
    database.unlink()
    database.parent.rmdir()
    (tmp_path / "away").rename(database.parent)
    assert files.condition() is Condition.WHOLE
    files.close()


@pytest.mark.parametrize("end", BESIDE)
def test_without_wal_or_shm_it_is_torn(database: Path, tmp_path: Path, end: str) -> None:
    """Also where another file has its name, and in a folder that was renamed."""
    files = OpenFiles(database)
    beside(database, end).unlink()
    assert files.condition() is Condition.TORN and not files.has_successor()
    beside(database, end).write_bytes(b"x")
    assert files.condition() is Condition.TORN
    assert files.has_successor() == (end == "-wal")
    database.parent.rename(tmp_path / "away")
    assert files.condition() is Condition.TORN
    files.close()


def test_a_deleted_database_is_removed(database: Path) -> None:
    """Whatever else is there."""
    files = OpenFiles(database)
    database.unlink()
    assert files.condition() is Condition.REMOVED
    beside(database, "-wal").unlink()
    database.touch()
    assert files.condition() is Condition.REMOVED
    files.close()


def test_a_folder_is_known_by_itself(tmp_path: Path) -> None:
    """Renamed, it has its new path; deleted, it has none."""
    path = tmp_path / "a"
    path.mkdir()
    folder = Folder(path)
    assert folder.path() == path and not folder.is_deleted()
    path.rename(tmp_path / "b")
    assert folder.path() == tmp_path / "b" and not folder.is_deleted()
    (tmp_path / "b").rmdir()
    assert folder.path() is None and folder.is_deleted()
    folder.close()
    assert folder.path() is None and not folder.is_deleted()
