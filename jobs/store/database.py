"""A connection to one state directory's database: opening, migration and transactions.

Every writing transaction is BEGIN IMMEDIATE (a deferred one that upgrades fails immediately,
whatever the busy timeout). Changes of state use synchronous FULL. Progress uses NORMAL: it survives
a kill, but a power loss may take its last seconds.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from jobs.errors import IllegalTransition, StoreTooNew, StoreUnusable
from jobs.store import diagnosis, sql
from jobs.store.state_dir import StateDir

if TYPE_CHECKING:
    from typing_extensions import Self

Value = TypeVar("Value")

SCHEMA_VERSION = 3
"""The number of sql/NNNN_*.sql files (a test checks this)."""

BUSY_SECONDS = 30.0
"""Busy timeout. Six writers with synchronous FULL waited up to 3.7 s for each other, so Python's
default of 5 s is too short."""


LOG_BYTES = 16_000_000
"""Limit of the write-ahead log's size on disk: a long document makes it as long as itself."""


class Database:
    """A connection to one state directory's database. It must not be used after a fork."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._file = _file_at(path)
        self._durable: bool | None = None
        self._pid = os.getpid()

    @classmethod
    def open(cls, state: StateDir) -> Self:
        """Open the database; create or migrate it first where needed.

        Raises `StoreUnusable` (not writable, locked, disk full) and its subclasses.
        """
        if not state.has_database():
            _refuse_network(state)
        state.create()
        with explained(state.database):
            _refuse_emptied(state)
            connection = _connect(state.database)
            try:
                _bring_up_to_date(connection, state)
            except BaseException:
                connection.close()
                raise
        return cls(connection, state.database)

    @classmethod
    def open_if_any(cls, state: StateDir) -> Self | None:
        """Like `open`, but None where no job was ever submitted: a read creates no files."""
        return cls.open(state) if state.has_database() else None

    @classmethod
    def glance(cls, state: StateDir) -> Self | None:
        """Open read-only, without waiting for locks. None where there is no database, or one with
        another schema. Raises `StoreUnusable`."""
        if not state.has_database():
            return None
        with explained(state.database):
            address = f"{state.database.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(address, uri=True, timeout=0.0, isolation_level=None)
            connection.row_factory = sqlite3.Row
            try:
                is_ours = _version(connection) == SCHEMA_VERSION
            except BaseException:
                connection.close()
                raise
        if not is_ours:
            connection.close()
            return None
        return cls(connection, state.database)

    def close(self) -> None:
        self._connection.close()

    @property
    def is_gone(self) -> bool:
        """Whether the database file was removed or replaced while open. SQLite does not notice,
        and what it writes then is lost."""
        return self._file is not None and _file_at(self._path) != self._file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _transaction(self, durable: bool = True) -> Iterator[None]:
        if os.getpid() != self._pid:
            raise RuntimeError("a store was used after a fork; open a new one in the child")
        with explained(self._path):
            if durable is not self._durable:
                level = "FULL" if durable else "NORMAL"
                self._connection.execute(f"PRAGMA synchronous = {level}")
                self._durable = durable
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._commit()
            except BaseException:
                if self._connection.in_transaction:  # a commit on a full disk leaves it open
                    self._connection.rollback()
                raise

    def _commit(self) -> None:
        self._connection.commit()

    def _edge(self, query: str, **values: object) -> None:
        if self._run(query, **values) != 1:
            name = values.get("id", values.get("job_id"))
            raise IllegalTransition(
                f"job {name}: {query} came too late; another process has changed the job's state"
            )

    def _run(self, query: str, **values: object) -> int:
        return self._connection.execute(_queries()[query], values).rowcount

    def _all(self, query: str, **values: object) -> list[sqlite3.Row]:
        with explained(self._path):
            return self._connection.execute(_queries()[query], values).fetchall()

    def _one(self, query: str, **values: object) -> sqlite3.Row | None:
        found = self._all(query, **values)
        return found[0] if found else None

    def _values(
        self, read: Callable[[sqlite3.Row], Value], found: list[sqlite3.Row]
    ) -> list[Value]:
        try:
            return [read(row) for row in found]
        except (ValueError, TypeError) as error:
            raise diagnosis.damaged(f"it has an invalid row ({error})", self._path) from error

    def _scalar(self, query: str, **values: object) -> object:
        row = self._one(query, **values)
        return row[0] if row else None


@lru_cache(maxsize=1)
def _queries() -> dict[str, str]:
    return sql.queries()


def _refuse_network(state: StateDir) -> None:
    from jobs.system import filesystem

    kind = filesystem.network_type(state.root)
    if kind is not None:
        raise StoreUnusable(
            f"the state directory {state.root} is on a network filesystem ({kind}), where SQLite "
            "fails or corrupts data. Set KTJOB_HOME to a folder on a local disk."
        )


def _refuse_emptied(state: StateDir) -> None:
    """A new database has no bytes for a moment, but before any worker ran. An empty one after that
    has lost its content, which must not pass without an error."""
    is_empty = state.has_database() and not state.database.stat().st_size
    if is_empty and any(state.root.glob("workers/*.lock")):
        raise diagnosis.damaged("it is empty, although jobs have run here", state.database)


def _connect(path: Path) -> sqlite3.Connection:
    _make(path)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    return connection


def _make(path: Path) -> None:
    """Create the file with mode 0600; SQLite gives -wal and -shm the same mode. An existing
    database is never opened here: closing it would drop the locks of all connections of this
    process, and another process would then remove the -wal file while they use it
    (sqlite.org/howtocorrupt.html, 2.2)."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from None
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            is_mounted_so = os.statvfs(path).f_flag & os.ST_RDONLY
            number = errno.EROFS if is_mounted_so else errno.EACCES
            raise OSError(number, os.strerror(number)) from None


def _file_at(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _bring_up_to_date(connection: sqlite3.Connection, state: StateDir) -> None:
    version = _version(connection)
    if version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"{state.database} was written by a newer ktjob (schema {version}; this version "
            f"supports {SCHEMA_VERSION}). Use the newer ktjob, or set KTJOB_HOME to another folder."
        )
    if version < SCHEMA_VERSION:
        _migrate(connection, state)


def _migrate(connection: sqlite3.Connection, state: StateDir) -> None:
    from jobs.processes import identity

    # One process at a time: switching a new database to WAL can fail with "locked", whatever the
    # timeout.
    lock = identity.hold(state.schema_lock, wait_seconds=BUSY_SECONDS)
    if lock is None:
        raise StoreUnusable(
            f"another process is still migrating {state.database} after {BUSY_SECONDS:g} s. Try "
            "again later"
        )
    try:
        version = _version(connection)
        if version < SCHEMA_VERSION:
            from jobs.store import schema

            if version == 0:  # auto_vacuum can only be set while the database is empty
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            schema.migrate(connection, state, SCHEMA_VERSION)
    finally:
        lock.release()


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and the kernel into `StoreUnusable`, each with its own advice, and
    errors of the transition trigger into `IllegalTransition`."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        if "illegal transition" in str(error):
            raise IllegalTransition(str(error)) from error
        raise
    except sqlite3.ProgrammingError:
        raise  # a value that SQLite cannot store: waiting does not help
    except sqlite3.DatabaseError as error:
        raise diagnosis.of_sqlite(error, path) from error
    except OSError as error:
        raise diagnosis.of_system(error, path) from error
    except MemoryError as error:  # SQLite's too
        raise diagnosis.of_memory(error, path) from error
