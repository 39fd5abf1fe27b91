"""A connection to one state directory's database: opening, transactions, and opening it again where
its files were replaced.

Every writing transaction is BEGIN IMMEDIATE (a deferred one that upgrades fails immediately,
whatever the busy timeout). Changes of state use synchronous FULL. Progress uses NORMAL: it survives
a kill, but a power loss may take its last seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from jobs import clock, known_secrets
from jobs.errors import IllegalTransition, StoreCopied, StoreRemoved, StoreUnusable
from jobs.store import diagnosis, sql
from jobs.store.files import opening, place
from jobs.store.files.open_files import Condition, OpenFiles
from jobs.store.files.opening import explained
from jobs.store.files.place import Place, Verdict
from jobs.store.state_dir import StateDir

if TYPE_CHECKING:
    from typing_extensions import Self

Value = TypeVar("Value")

REMOVED_SECONDS = 30.0
"""How long the database may be missing after it was deleted, until its workers end."""
DECLINED_SECONDS = 5.0
_STORE = ""
"""The pool name of notes about the store itself."""
_PLACE = "place"
_REPORTED = frozenset({"message", "data", "figures", "value", "phase", "trouble"})
"""Columns that may repeat what a server said. Documents, requests and answers are unchanged."""

_kept_open: list[sqlite3.Connection] = []
"""Connections that must not be closed: closing would remove a -wal file that others use."""


class Database:
    """A connection to one state directory's database. It must not be used after a fork."""

    def __init__(self, connection: sqlite3.Connection, state: StateDir) -> None:
        self._connection = connection
        self._is_retired = False
        self.state = state
        """The folder that it is in."""
        self._path = state.database
        self._files = OpenFiles(self._path)
        self._is_suspect = False
        self._owes_reopened = False
        self._durable: bool | None = None
        self._pid = os.getpid()
        self._place: Place | None = None
        self.original: Place | None = None
        """The place of the store that this one is a copy of; None where it is no copy."""
        self.on_reopened: Callable[[], None] = lambda: None
        """Called after the database was opened again because its files had been replaced."""
        self.accepts: Callable[[Any], bool] = lambda fresh: True
        """Whether another file of the same store at the path may be used in place of this one."""
        self._declined: tuple[tuple[int, int], float] | None = None
        self._removed_since: float | None = None

    @classmethod
    def open(cls, state: StateDir) -> Self:
        """Open the database; create or migrate it first where needed.

        Raises `StoreUnusable` (not writable, locked, disk full) and its subclasses: `StoreCopied`
        for a copy of another state directory's database.
        """
        return cls._opened(state).require_original()

    @classmethod
    def open_existing(cls, state: StateDir) -> Self:
        """Like `open`, but creates neither folders nor a database. For processes that outlive
        commands: a folder that is not mounted for a moment must stay empty."""
        return cls._opened(state, create=False).require_original()

    @classmethod
    def open_to_read(cls, state: StateDir) -> Self:
        """Like `open_existing`, but a copy is opened too: it can be read, and refuses
        transactions."""
        return cls._opened(state, create=False)

    @classmethod
    def open_to_adopt(cls, state: StateDir) -> Self:
        """Like `open_to_read`, also where the database may be a second view of another one."""
        return cls._opened(state, create=False, adopting=True)

    @classmethod
    def open_if_any(cls, state: StateDir) -> Self | None:
        """Like `open_to_read`, but None where no job was ever submitted: a read creates no
        files."""
        return cls.open_to_read(state) if state.has_database() else None

    @classmethod
    def glance(cls, state: StateDir) -> Self | None:
        """Open read-only, without waiting for locks. None where there is no database, or one with
        another schema. Raises `StoreUnusable`."""
        if not state.has_database():
            return None
        connection = opening.glance(state)
        return None if connection is None else cls(connection, state)

    @classmethod
    def _opened(cls, state: StateDir, *, create: bool = True, adopting: bool = False) -> Self:
        database = cls(opening.connect(state, create=create, adopting=adopting), state)
        try:
            database._find_place()
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        self._files.close()
        if not self._is_retired:
            self._connection.close()

    def leave(self) -> None:
        """Use it no longer, also if another database is at its path by now: SQLite would remove
        that one's -wal at the close, so then the connection stays open, unused."""
        others = (Condition.ELSEWHERE, Condition.REMOVED)
        if not self._is_retired and self._files.condition() in others:
            _kept_open.append(self._connection)
            self._is_retired = True
            self._files.close()
        self._retire()

    def require_original(self) -> Self:
        """This database, unless it is a copy. Raises `StoreCopied`; then it is closed."""
        if self.original is not None:
            self.close()
            raise self._copied()
        return self

    @property
    def is_gone(self) -> bool:
        """Whether another database, or none, is in the folder now, or its files were removed:
        readers open it again."""
        return self._is_retired or self._files.condition() is not Condition.WHOLE

    def was_deleted(self) -> bool:
        """Whether the database was deleted while open, and none of this store came in its place for
        `REMOVED_SECONDS`. Looks for one there, and uses it."""
        return self._files.condition() is Condition.REMOVED and self._is_given_up()

    def _is_given_up(self) -> bool:
        """Whether to look no longer for what came in the place of a deleted database: `mv` to
        another disk deletes the files here, and a link to the new place may follow."""
        with contextlib.suppress(StoreUnusable):
            self._look_for_successor()
        if self._files.condition() is not Condition.REMOVED:
            self._removed_since = None
            return False
        now = time.monotonic()
        self._removed_since = self._removed_since or now
        return now - self._removed_since >= REMOVED_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- where it is

    def _find_place(self) -> None:
        """Compare the file with the recorded place; record the place where it is new."""
        recorded = self.recorded_place()
        with explained(self._path):
            found = place.here(self._path, recorded.store if recorded else "")
        verdict = Verdict.MOVED
        if recorded is not None:
            verdict = place.compare(recorded, found, place.leads_to(recorded))
        self._place = found
        if verdict is Verdict.COPY:
            self.original = recorded
        elif not place.is_unchanged(recorded, found):  # also at another boot
            if verdict is Verdict.RESTORED:
                self._free_locks()
            with contextlib.suppress(StoreUnusable):  # a full disk: the next process records it
                self.settle()

    def _free_locks(self) -> None:
        """In a file that was put here, no worker of before can be at work: let the free locks of
        its running jobs prove that, where another container's processes cannot be seen."""
        for row in self._all("jobs_in_status", status="RUNNING"):
            with contextlib.suppress(OSError):
                self.state.worker_lock(row["id"]).touch(mode=0o600)

    def recorded_place(self) -> Place | None:
        """Where the store was when it was last used; None before that was recorded."""
        return place.read(self._note(_STORE, _PLACE))

    def settle(self, *, is_new: bool = False) -> None:
        """Record that the store is here, with an id of its own where it `is_new`. Raises
        `StoreUnusable`."""
        assert self._place is not None
        known = self._place
        self.original = None
        if is_new:
            self._free_locks()
        with self._transaction(durable=is_new):
            other = self.recorded_place()  # by another process meanwhile
            store = other.store if other is not None and not is_new else os.urandom(16).hex()
            settled = replace(known, store=store)
            value = json.dumps(settled.record())
            self._run("set_note", pool=_STORE, name=_PLACE, value=value, at=clock.now())
        self._place = settled
        # So that the place can be read before the database is opened (`opening`).
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _note(self, pool: str, name: str) -> object:
        value = self._scalar("note", pool=pool, name=name)
        try:
            return None if value is None else json.loads(str(value))
        except ValueError as error:
            raise diagnosis.damaged(f"note {name} of {pool} is not JSON", self._path) from error

    def _copied(self) -> StoreCopied:
        assert self.original is not None
        return diagnosis.copied(self._path, self.original.path)

    # -- whether its files are still those in the folder

    def _usable(self) -> sqlite3.Connection:
        """The connection, after opening it again where its files were removed or could not be read.
        Raises `StoreUnusable` while that is not possible."""
        if os.getpid() != self._pid:
            raise RuntimeError("a store was used after a fork; open a new one in the child")
        if not self._is_retired:
            self._check_files()
        if self._is_retired or self._is_suspect:
            self._reopen()
        if self._owes_reopened:
            self._owes_reopened = False  # it uses this database
            try:
                self.on_reopened()
            except BaseException:
                self._owes_reopened = True
                raise
        return self._connection

    def _check_files(self) -> None:
        condition = self._files.condition()
        if condition is Condition.TORN:
            self._retire()
        elif condition is Condition.UNREACHABLE:
            self._is_suspect = True
        elif condition is Condition.ELSEWHERE:
            self._look_for_successor()
        elif condition is Condition.REMOVED:
            if self._is_given_up():
                raise StoreRemoved(f"{self._path} was deleted while it was in use")
            if self._files.condition() is Condition.REMOVED:  # what was written would be lost
                raise diagnosis.missing(self._path)

    def _retire(self) -> None:
        """Write all that the removed files hold into the database, and close the connection. SQLite
        writes it at the close of the last user only, and not while anybody else reads. Where
        others have already begun new files, that would damage these: then this connection stays
        open, unused."""
        if self._is_retired:
            return
        self._is_retired = True
        if self._files.has_successor():
            _kept_open.append(self._connection)
        else:
            with contextlib.suppress(sqlite3.Error):  # its disk is gone
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._files.close()

    def _look_for_successor(self) -> None:
        """Another file of this store may have been put at the path, as a backup is put back: then
        readers look there. One that is not of this store is looked at again after a while, because
        it may not have been complete."""
        with contextlib.suppress(OSError, StoreUnusable):
            found, now = self._path.stat(), time.monotonic()
            identity = found.st_dev, found.st_ino
            if self._declined is not None:
                known, since = self._declined
                if known == identity and now - since < DECLINED_SECONDS:
                    return
            self._declined = identity, now
            self._reopen()

    def _reopen(self) -> None:
        fresh = type(self)._opened(self.state, create=False)
        if self._is_other(fresh) or not self.accepts(fresh):
            fresh.close()
            raise StoreUnusable(f"{self._path} now belongs to another queue, or is an older copy")
        self._retire()
        self._connection, self._files = fresh._connection, fresh._files
        self._is_retired, self._is_suspect, self._durable = False, False, None
        self._owes_reopened = True

    def _is_other(self, fresh: Database) -> bool:
        """Whether it is another store. One whose id could not be recorded yet is unknown."""
        ours, theirs = (one.store if one else "" for one in (self._place, fresh._place))
        return "" != ours != theirs != ""

    # -- statements

    @contextlib.contextmanager
    def _transaction(self, durable: bool = True) -> Iterator[None]:
        if self.original is not None:
            raise self._copied()
        connection = self._usable()
        with self._suspecting(), explained(self._path):
            if durable is not self._durable:
                level = "FULL" if durable else "NORMAL"
                connection.execute(f"PRAGMA synchronous = {level}")
                self._durable = durable
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._commit()
            except BaseException:
                if connection.in_transaction:  # a commit on a full disk leaves it open
                    connection.rollback()
                raise

    def _commit(self) -> None:
        self._connection.commit()

    @contextlib.contextmanager
    def _suspecting(self) -> Iterator[None]:
        """After an I/O error, open the database again before its next use: the open files may be
        those of a disk that was taken away and is back."""
        try:
            yield
        except StoreUnusable as error:
            self._is_suspect = self._is_suspect or error.is_disk
            raise

    def _edge(self, query: str, **values: object) -> None:
        if self._run(query, **values) != 1:
            name = values.get("id", values.get("job_id"))
            raise IllegalTransition(
                f"job {name}: {query} came too late; another process has changed the job's state"
            )

    def _run(self, query: str, **values: object) -> int:
        """Execute a statement of the open transaction. Returns how many rows it changed. What is
        reported about a job contains no key that this process knows."""
        safe = {
            name: known_secrets.hide(value)
            if name in _REPORTED and isinstance(value, str)
            else value
            for name, value in values.items()
        }
        return self._connection.execute(sql.queries()[query], safe).rowcount

    def _all(self, query: str, **values: object) -> list[sqlite3.Row]:
        with self._suspecting(), explained(self._path):
            return self._reading().execute(sql.queries()[query], values).fetchall()

    def _reading(self) -> sqlite3.Connection:
        """The connection for a read; of an open transaction, the one that it uses."""
        if not self._is_retired and self._connection.in_transaction:
            return self._connection
        return self._usable()

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
