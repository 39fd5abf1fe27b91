"""Creation of a database, and migration of an older one to the current schema.

Imported only when a database is new or old. sqlite-utils migrates older ones and keeps the record
of that in the database; a new one gets the same record without it, because it costs a tenth of a
second to import, a fifth of the first `ktjob submit`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

from jobs.errors import StoreUnusable
from jobs.store import sql
from jobs.store.files import backup
from jobs.store.state_dir import StateDir

if TYPE_CHECKING:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

_NAME = "ktjob"
"""Of this set of migrations, in the record."""
_RECORD = """
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
"""
"""As sqlite-utils makes it (`Migrations.ensure_migrations_table`)."""
_NOTE = """
INSERT INTO "_sqlite_migrations" ("migration_set", "name", "applied_at")
VALUES (?, ?, strftime('%Y-%m-%d %H:%M:%f+00:00', 'now'))
"""


def migrate(connection: sqlite3.Connection, state: StateDir, version: int) -> None:
    """Apply the missing migrations and set `user_version` to `version`, in one immediate
    transaction: of several processes that find a new database, one creates it and the others wait.

    An older database is copied first, inside that transaction, so the copy has everything that the
    old version wrote. Raises `StoreUnusable`; then the database is unchanged.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        old = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if old:
            backup.copy(state.database, state.schema_backup(old))
        _apply(connection, state, old, version)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


def _apply(connection: sqlite3.Connection, state: StateDir, old: int, new: int) -> None:
    if not old:
        _create(connection)
        return
    from sqlite_utils import Database

    try:
        _migrations().apply(Database(connection, execute_plugins=False))
    except sqlite3.Error as error:
        if "disk" in str(error):
            raise  # it gets a message of its own
        raise StoreUnusable(
            f"cannot migrate {state.database} from schema {old} to {new} ({error}). The database "
            f"is unchanged, and the ktjob that wrote it can still use it. A copy is in "
            f"{state.schema_backup(old)}. Please report this error"
        ) from error


def _create(connection: sqlite3.Connection) -> None:
    """Run all scripts on a new database, and note each as sqlite-utils does."""
    for statement in _statements(_RECORD):
        connection.execute(statement)
    for name, script in sql.migrations():
        for statement in _statements(script):
            connection.execute(statement)
        connection.execute(_NOTE, (_NAME, name))


def _migrations() -> Migrations:
    from sqlite_utils.migrations import Migrations

    steps = Migrations(_NAME)
    for name, script in sql.migrations():
        steps(name=name)(_applying(script))
    return steps


def _applying(script: str) -> Callable[[Database], None]:
    """A migration that runs a script statement by statement, inside the open transaction."""

    def apply(db: Database, /) -> None:
        for statement in _statements(script):
            db.conn.execute(statement)

    return apply


def _statements(script: str) -> list[str]:
    """Split at semicolons that end a statement: triggers contain other semicolons."""
    found, start = [], 0
    for position, character in enumerate(script):
        if character == ";" and sqlite3.complete_statement(script[start : position + 1]):
            found.append(script[start : position + 1])
            start = position + 1
    return found
