"""Opening a database: checks before it, creation, and migration to the current schema."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from jobs import draft
from jobs.errors import IllegalTransition, KtjobError, StoreTooNew, StoreUnusable
from jobs.store import diagnosis, sql
from jobs.store.files import open_files, place
from jobs.store.state_dir import StateDir

SCHEMA_VERSION = 6
"""The number of sql/NNNN_*.sql files (a test checks this)."""

BUSY_SECONDS = 30.0
"""Busy timeout. Six writers with synchronous FULL waited up to 3.7 s for each other, so Python's
default of 5 s is too short."""


HIDDEN_SECONDS = 5.0
"""How long a runner of a folder that is out of sight may take to end."""
RECORD_SECONDS = 2.0
"""How long a process that makes a database may take to record its place."""
_LOOK_SECONDS = 0.05
LOG_BYTES = 16_000_000
"""Limit of the write-ahead log's size on disk: a long document makes it as long as itself."""


def connect(state: StateDir, *, create: bool, adopting: bool = False) -> sqlite3.Connection:
    """A connection to the database in the current schema. With `create`, the folders and the
    database are made where there are none; without, a missing one raises `StoreUnusable`, so that a
    folder which is not mounted for a moment stays empty. `adopting`: also what may be a second view
    of a database, if no other one can be seen."""
    if create:
        if not state.has_database():
            _refuse_network(state)
            state.require_in_sight(HIDDEN_SECONDS)
        state.create()
    elif not state.has_database():
        raise diagnosis.missing(state.database)
    with explained(state.database):
        _refuse_emptied(state)
        _refuse_unsafe_place(state, create=create, adopting=adopting)
        while True:
            connection = _whole(state, create=create)
            if not open_files.is_torn_here(state.database):
                return connection
            connection.close()  # they were removed meanwhile, and another thread has them open


def _whole(state: StateDir, *, create: bool) -> sqlite3.Connection:
    """A connection, once nobody uses removed files."""
    if not open_files.wait_until_whole_here(state.database):
        raise diagnosis.torn(state.database, os.getpid())
    connection = _connect(state.database, create=create)
    try:
        _refuse_removed_files(state.database)
        _bring_up_to_date(connection, state)
    except BaseException:
        connection.close()
        raise
    return connection


def glance(state: StateDir) -> sqlite3.Connection | None:
    """A connection that only reads and waits for no locks. None for another schema."""
    path = state.database
    with explained(path):
        _refuse_unsafe_place(state)
        address = f"{path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(address, uri=True, timeout=0.0, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            is_ours = _version(connection) == SCHEMA_VERSION
        except BaseException:
            connection.close()
            raise
    if is_ours:
        return connection
    connection.close()
    return None


def _refuse_removed_files(path: Path) -> None:
    pid = open_files.wait_for_users_of_removed(path)
    if pid is not None:
        raise diagnosis.torn(path, pid)


def _refuse_network(state: StateDir) -> None:
    from jobs.system import filesystem

    kind = filesystem.network_type(state.root)
    if kind is not None:
        raise StoreUnusable(
            f"the state directory {state.root} is on a network filesystem ({kind}), where SQLite "
            "fails or corrupts data. Set KTJOB_HOME to a folder on a local disk. To take jobs "
            "along, copy the whole folder there, then run `ktjob adopt`."
        )


def _refuse_unsafe_place(state: StateDir, *, create: bool = False, adopting: bool = False) -> None:
    """Refuse a database that SQLite would damage, or lose rows of, where it is now: on a network
    filesystem, as a second name (hard link), or as a second view through or below a FUSE
    filesystem, which does not share locks. Each of them removes the log that the users of the
    original write to. `create`: an empty file is one that this command makes. `adopting`: a view is
    opened where no other one can be seen.

    The recorded place is read without locks or logs. Where nothing has changed since, nothing else
    is looked at. Raises `StoreUnusable`.
    """
    path = state.database
    if not path.exists() or (create and not path.stat().st_size):
        return  # it is being made
    recorded = _recorded_place(path)
    found = place.here(path, recorded.store if recorded else "")
    give_up = time.monotonic() + RECORD_SECONDS
    while recorded is None and found.is_fuse and not adopting and time.monotonic() < give_up:
        time.sleep(_LOOK_SECONDS)  # another process may be making it
        recorded = _recorded_place(path)
    if place.is_unchanged(recorded, found):
        return
    _refuse_network(state)
    original, verdict = None, place.Verdict.MOVED
    if recorded is not None:
        if place.is_second_name(recorded, path):
            raise diagnosis.linked(path, recorded.path)
        original = place.leads_to(recorded)
        verdict = place.compare(recorded, found, original)
    if not place.is_second_view(recorded, found, verdict):
        return
    if not adopting or original not in (None, found.path):
        raise diagnosis.second_view(path, recorded.path if recorded else None)


def _recorded_place(path: Path) -> place.Place | None:
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with (
        contextlib.suppress(sqlite3.Error, ValueError),
        contextlib.closing(sqlite3.connect(address, uri=True)) as connection,
    ):
        wanted = {"pool": "", "name": "place"}
        row = connection.execute(sql.queries()["note"], wanted).fetchone()
        return place.read(json.loads(row[0])) if row else None
    return None


def _refuse_emptied(state: StateDir) -> None:
    """A new database has no bytes for a moment, but before any worker ran. An empty one after that
    has lost its content, which must not pass without an error."""
    is_empty = state.has_database() and not state.database.stat().st_size
    if is_empty and any(state.root.glob("workers/*.lock")):
        raise diagnosis.damaged("it is empty, although jobs have run here", state.database)


def _connect(path: Path, *, create: bool) -> sqlite3.Connection:
    if create:
        _make(path)
    else:
        _require_usable(path)
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
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        _require_usable(path)
        return
    try:
        draft.widen(fd, draft.PRIVATE)
    finally:
        os.close(fd)


def _require_usable(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        is_mounted_so = os.statvfs(path).f_flag & os.ST_RDONLY
        number = errno.EROFS if is_mounted_so else errno.EACCES
        raise OSError(number, os.strerror(number))


def _bring_up_to_date(connection: sqlite3.Connection, state: StateDir) -> None:
    version = _version(connection)
    if version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"{state.database} was written by a newer ktjob (schema {version}; this version "
            f"supports {SCHEMA_VERSION}). Use the newer ktjob, or set KTJOB_HOME to another folder."
        )
    if version < SCHEMA_VERSION:
        _migrate(connection, state)
    elif connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        # Another program has changed it, which it may while nobody else has the database open.
        connection.execute("PRAGMA journal_mode = WAL")


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
            from jobs.store.files import schema

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
    except KtjobError:  # some are OSErrors too
        raise
    except sqlite3.IntegrityError as error:
        if "illegal transition" in str(error):
            raise IllegalTransition(str(error)) from error
        raise
    except sqlite3.ProgrammingError:
        raise  # a value that SQLite cannot store: waiting does not help
    except sqlite3.DatabaseError as error:
        raise diagnosis.of_sqlite(error, path) from error
    except UnicodeDecodeError as error:  # SQLite's message quotes bytes of a damaged schema
        raise diagnosis.damaged("its schema holds bytes that are no text", path) from error
    except OSError as error:
        raise diagnosis.of_system(error, path) from error
    except MemoryError as error:  # SQLite's too
        raise diagnosis.of_memory(error, path) from error
