"""A copy of a database as it is at one moment: whole or not at all, private, and on the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

from jobs.errors import StoreUnusable
from jobs.store import diagnosis


def copy(source: Path, target: Path) -> None:
    """Copy the database at `source`, in use or not, to `target`, over what is there.

    It is written as a draft beside it (0600) and renamed when it is on the disk. Raises
    `StoreUnusable` with the reason, `StoreDamaged` when the source is not sound; the target is
    untouched then.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if target.exists() and not target.is_file():  # a device would be replaced by a file
            raise StoreUnusable(f"cannot write the backup: {target} is not a file; name one")
        if target.exists() and target.samefile(source):
            raise StoreUnusable(f"{target} is the job database itself; name another file")
        draft.unlink(missing_ok=True)  # of a process with our id that was killed
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _fill(draft, source)
        os.replace(draft, target)
        _sync(target.parent)
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        told = "its disk is full" if is_full else error.strerror or str(error)
        raise _failed(target, _not_there(source, told)) from error
    except sqlite3.Error as error:
        reason = diagnosis.of_sqlite(error, source)
        if "is full" in str(error):  # only the copy is written to
            reason = _not_there(source, "its disk is full")
        raise _failed(target, reason) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _failed(target: Path, reason: StoreUnusable) -> StoreUnusable:
    return type(reason)(f"no backup was made at {target}: {reason}")


def _not_there(source: Path, told: str) -> StoreUnusable:
    """Of the place for the copy, which need not be the state directory: its cures are others."""
    size = f"{source.stat().st_size / 1e6:,.1f} MB" if source.exists() else "room"
    return StoreUnusable(
        f"{told}. It needs a folder that is there and yours to write to, and {size} free there"
    )


def _fill(draft: Path, source: Path) -> None:
    # A connection of its own: one that holds the write lock may not be the source of a copy, and
    # with that lock held elsewhere this one reads exactly what was committed before.
    with (
        contextlib.closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True)) as original,
        contextlib.closing(sqlite3.connect(draft)) as copied,
    ):
        original.backup(copied)
        # Pages are copied as they are: a good backup is not replaced by damage.
        broken = [str(row[0]) for row in copied.execute("PRAGMA quick_check(1)")]
        if broken != ["ok"]:
            raise diagnosis.damaged(broken[0], source)
    _sync(draft)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
