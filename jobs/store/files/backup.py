"""An atomic copy of a database at one moment: complete or not there, private, synced to disk."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from jobs import named_file
from jobs.draft import Draft, removed_by_signals
from jobs.errors import StoreUnusable
from jobs.store import diagnosis
from jobs.system import no_room


def copy(source: Path, target: Path) -> None:
    """Copy the database at `source`, which may be in use, to `target`, replacing an
    earlier backup there.

    The copy is written to a draft file beside the target (0600) and renamed once it is on disk.
    Raises `StoreUnusable` with the reason, `StoreDamaged` when the source is damaged; then the
    target is unchanged.
    """
    try:
        _refuse(target, source)
        with removed_by_signals():
            draft = Draft(named_file.followed(target))
            try:
                _fill(draft.draft, source)
                draft.publish()
            finally:
                draft.drop()
    except OSError as error:
        raise _failed(target, _refused(error, source, target)) from error
    except sqlite3.Error as error:
        least = diagnosis.LEAST_FREE_BYTES
        # The copy is the only file that is written: a lack of room is one of its folder.
        lacking = no_room.likely(target, least, (source,)) if _is_io(error) else None
        reason = _lacking(lacking, source) if lacking else diagnosis.of_sqlite(error, source)
        raise _failed(target, reason) from error


def _refuse(target: Path, source: Path) -> None:
    if (what := named_file.irregular(target)) is not None:
        reason = f"is {what}, not a regular file"
    elif not target.exists():
        return
    elif target.samefile(source):
        reason = "is the job database itself"
    elif not _is_database(target):
        reason = "exists and is not a database"
    else:
        return
    raise StoreUnusable(f"cannot write the backup: {target} {reason}; name another file")


def _is_database(path: Path) -> bool:
    """Whether a file is a SQLite database (its header, sqlite.org/fileformat.html), or empty."""
    with path.open("rb") as file:
        return file.read(16) in (b"", b"SQLite format 3\0")


def _failed(target: Path, reason: StoreUnusable) -> StoreUnusable:
    return type(reason)(f"cannot write the backup {target}: {reason}")


def _is_io(error: sqlite3.Error) -> bool:
    return any(words in str(error) for words in ("is full", "disk I/O error", "unable to open"))


def _refused(error: OSError, source: Path, target: Path) -> StoreUnusable:
    kind = no_room.of_error(error, target)
    return _lacking(kind, source) if kind else _not_there(source, error.strerror or str(error))


def _lacking(kind: str, source: Path) -> StoreUnusable:
    what, cure = no_room.words(kind)
    if kind == no_room.FULL:
        return _not_there(source, what)
    return StoreUnusable(f"{what}. {cure}, or choose another folder")


def _not_there(source: Path, told: str) -> StoreUnusable:
    """An error of the target's folder. It may not be the state directory, so the advice differs."""
    size = f"{source.stat().st_size / 1e6:,.1f} MB" if source.exists() else "enough space"
    return StoreUnusable(
        f"{told}. Choose an existing folder that you may write to, with {size} free"
    )


def _fill(draft: Path, source: Path) -> None:
    # A separate connection: one that holds the write lock cannot be the source of a copy. While
    # another connection holds that lock, this one reads exactly what was committed before.
    with (
        contextlib.closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True)) as original,
        contextlib.closing(sqlite3.connect(draft)) as copied,
    ):
        original.backup(copied)
        # Pages are copied unchecked, so check here: a damaged copy must not replace a good backup.
        broken = [str(row[0]) for row in copied.execute("PRAGMA quick_check(1)")]
        if broken != ["ok"]:
            raise diagnosis.damaged(broken[0], source)
