"""The files that a connection has open, compared with those in the folder.

SQLite keeps a database in three files: ktjob.db, -wal and -shm. It does not notice when one of them
is removed while it is open. If -wal or -shm is, the next process creates new ones, and then two
groups of processes write to one database without seeing each other's locks: what one of them
commits vanishes, or the database is damaged (sqlite.org/howtocorrupt.html, 4.4). So ktjob compares
before each use, and opens no database of which another process uses removed files.

A folder that was moved away, or is not mounted for now, changes nothing here: the open files are
still the ones that everybody else will find.
"""

from __future__ import annotations

import contextlib
import enum
import os
import threading
import time
import weakref
from pathlib import Path

from jobs.processes import file_users

BESIDE = ("-wal", "-shm")
WAIT_SECONDS = 5.0
"""How long an opening process waits for others to close removed files: a worker notices within a
second."""
_LOOK_SECONDS = 0.05
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510
"""The bytes that every connection to a database in WAL mode keeps locked
(sqlite.org/lockingv3.html, "pending byte")."""


_waited_for: set[int] = set()
"""Processes that kept removed files for `WAIT_SECONDS`."""


class Condition(enum.Enum):
    """How open files compare with the folder."""

    WHOLE = enum.auto()
    ELSEWHERE = enum.auto()
    """The database is not at its path, or another one is. The open one still exists."""
    TORN = enum.auto()
    """-wal or -shm was removed or replaced while the database was open."""
    REMOVED = enum.auto()
    """The open database was deleted: what is written is lost."""
    UNREACHABLE = enum.auto()
    """The disk of the open files is gone, as when the process behind a FUSE filesystem died: they
    never work again, also if the disk comes back."""


class OpenFiles:
    """The three files that one connection has just opened."""

    def __init__(self, database: Path) -> None:
        """Call it after the first read, which opens -wal and -shm."""
        self._paths = [database, *(database.with_name(database.name + end) for end in BESIDE)]
        self._fds = [_reference(path) for path in self._paths]
        self._pid = os.getpid()
        with _lock:
            _all_here.add(self)

    def is_torn_here(self, database: Path) -> bool:
        """Whether this process uses removed files of that database through these."""
        is_asked = self._paths[0] == database and self._pid == os.getpid()
        return is_asked and self.condition() is Condition.TORN

    def condition(self) -> Condition:
        """Costs six calls of the kernel, a few microseconds."""
        try:
            open_ones = [None if fd is None else os.fstat(fd) for fd in self._fds]
        except OSError:
            return Condition.UNREACHABLE
        named = [_stat(path) for path in self._paths]
        database, *beside = open_ones
        if database is not None and database.st_nlink == 0:
            return Condition.REMOVED
        if any(one is not None and one.st_nlink == 0 for one in beside):
            return Condition.TORN
        if database is not None and not _are_same(database, named[0]):
            return Condition.ELSEWHERE
        pairs = zip(beside, named[1:], strict=True)
        if any(one is not None and not _are_same(one, found) for one, found in pairs):
            return Condition.TORN
        return Condition.WHOLE

    def has_successor(self) -> bool:
        """Whether others have already written to another -wal file in the place of ours."""
        found, fd = _stat(self._paths[1]), self._fds[1]
        if found is None or not found.st_size:
            return False
        try:
            return fd is None or not _are_same(os.fstat(fd), found)
        except OSError:
            return True

    def close(self) -> None:
        with _lock:
            _all_here.discard(self)
        fds, self._fds = self._fds, [None, None, None]
        for fd in fds:
            if fd is not None:
                os.close(fd)


_all_here: weakref.WeakSet[OpenFiles] = weakref.WeakSet()
"""Those of this process."""
_lock = threading.Lock()


def is_torn_here(database: Path) -> bool:
    """Whether another connection of this process uses removed files of the database. SQLite gives
    all connections of a process one -shm, so a new connection would use the removed one beside a
    new -wal, and what it commits would be lost."""
    with _lock:
        all_here = list(_all_here)
    return any(one.is_torn_here(database) for one in all_here)


def wait_until_whole_here(database: Path) -> bool:
    """Wait until no other thread of this process uses removed files of the database, for up to
    `WAIT_SECONDS`. False if one still does."""
    give_up = time.monotonic() + WAIT_SECONDS
    while is_torn_here(database):
        if time.monotonic() >= give_up:
            return False
        time.sleep(_LOOK_SECONDS)  # each thread closes its own at its next use
    return True


class Folder:
    """A folder, known by itself and not by its path. Until `close`."""

    def __init__(self, path: Path) -> None:
        self._fd = _reference(path)

    def is_deleted(self) -> bool:
        """Whether the folder was deleted; not when it was moved or is not mounted."""
        with contextlib.suppress(OSError):  # of a disk that is gone
            return self._fd is not None and os.fstat(self._fd).st_nlink == 0
        return False

    def path(self) -> Path | None:
        """Where the folder is now; None where it cannot be reached, as on a disk that was
        unmounted."""
        if self._fd is None:
            return None
        with contextlib.suppress(OSError):
            path = Path(os.readlink(f"/proc/self/fd/{self._fd}"))
            if os.path.samestat(path.stat(), os.fstat(self._fd)):
                return path
        return None

    def close(self) -> None:
        """Then nothing is known of it."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _reference(path: Path) -> int | None:
    """A descriptor that only refers to the file: with O_PATH, closing it drops none of SQLite's
    locks, as closing any other descriptor of the file would (fcntl(2))."""
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _are_same(one: os.stat_result, other: os.stat_result | None) -> bool:
    return other is not None and os.path.samestat(one, other)


def user_of_removed(database: Path) -> int | None:
    """The pid of another process that has the database open, and uses a -wal or -shm file of it
    that was removed. Call it between connecting and the first read."""
    holder = file_users.lock_holder(database, _SHARED_FIRST, _SHARED_SIZE)
    if holder is None:
        return None
    others = sorted(file_users.lock_holders(database) - {holder, os.getpid()})
    return next((pid for pid in (holder, *others) if uses_removed(pid, database)), None)


def wait_for_users_of_removed(database: Path) -> int | None:
    """Wait until no other process uses removed files of the database, for up to `WAIT_SECONDS`.
    Returns the pid of one that still does; that one is not waited for again."""
    give_up = time.monotonic() + WAIT_SECONDS
    while (pid := user_of_removed(database)) is not None:
        if pid in _waited_for or time.monotonic() >= give_up:
            _waited_for.add(pid)
            return pid
        time.sleep(_LOOK_SECONDS)  # the kernel has no event for another process's close
    return None


def uses_removed(pid: int, database: Path) -> bool:
    """Whether a process has a removed -wal or -shm file of the database open."""
    ends = tuple(f"{database.name}{end} (deleted)" for end in BESIDE)
    return any(
        link.endswith(ends) and _may_be_in(database.parent, os.path.dirname(link))
        for link in file_users.open_files(pid)
    )


def _may_be_in(folder: Path, named: str) -> bool:
    """Whether a folder that another process names may be this one. One that is not here is named as
    another container sees it."""
    try:
        return os.path.samefile(folder, named)
    except OSError:
        return True
