"""Migration of a database to the current schema, with sqlite-utils.

Imported only when a database is new or old: sqlite-utils costs a tenth of a second to import,
more than `ktjob status` may take.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from jobs.errors import StoreUnusable
from jobs.store import sql
from jobs.store.files import backup
from jobs.store.state_dir import StateDir


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
    try:
        _migrations().apply(Database(connection, execute_plugins=False))
    except sqlite3.Error as error:
        if not old or "disk" in str(error):
            raise  # it gets a message of its own
        raise StoreUnusable(
            f"cannot migrate {state.database} from schema {old} to {new} ({error}). The database "
            f"is unchanged, and the ktjob that wrote it can still use it. A copy is in "
            f"{state.schema_backup(old)}. Please report this error"
        ) from error


def _migrations() -> Migrations:
    steps = Migrations("ktjob")
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
