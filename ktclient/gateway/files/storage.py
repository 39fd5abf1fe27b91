"""The bytes of files and of parts of uploads: one file on disk for each, named by its id.

The bytes come first, then the row of the database: what has a row is whole and synced. Bytes
without a row were left by a kill, and `expiry.sweep` deletes them. A path is made of ids that this
process made, never of what a client sends.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

from jobs import clock, draft, private_folder
from jobs.store.http.store import HttpStore
from jobs.store.http.values import File, NewFile
from jobs.store.state_dir import StateDir
from jobs.system import no_room
from ktclient.gateway import visibility
from ktclient.gateway.context import Caller
from ktclient.gateway.wire import errors
from ktclient.gateway.wire.errors import ApiError
from ktclient.wording import reason

FILE, UPLOAD, PART = "file-", "upload_", "part_"
"""Prefixes of ids."""
_quota = threading.Lock()
"""Held from the last look at an owner's bytes until more are stored."""


def new_id(prefix: str) -> str:
    """An id that nobody can guess."""
    return prefix + secrets.token_hex(16)


def path_of(state: StateDir, file: File) -> Path:
    """Where the bytes of a file are."""
    return path_of_id(state, file.id)


def path_of_id(state: StateDir, own_id: str) -> Path:
    """Where the bytes of a file or part are whose id is in the database, or was just made."""
    return state.gateway_files / own_id


def find(store: HttpStore, caller: Caller, file_id: str) -> File:
    """The file with this id. Raises `ApiError` 404, also for another caller's and an expired
    one."""
    file = store.file(file_id) if file_id.isascii() else None
    if file is None or not (caller.sees is None or file.owner == caller.sees):
        raise visibility.not_found(file_id)
    if file.expires_at is not None and file.expires_at <= clock.now():
        raise visibility.not_found(file_id)
    return file


def new_draft(state: StateDir, own_id: str) -> draft.Draft:
    """An open draft for these bytes. Raises `ApiError` where the disk takes none."""
    with explained(state.gateway_files):
        private_folder.make(state.gateway_files)
        return draft.Draft(path_of_id(state, own_id))


def store_file(store: HttpStore, new: NewFile, written: draft.Draft, quota: int) -> File:
    """Publish a draft as a file. Raises `ApiError` for more bytes than the quota, and where the
    disk takes them not; nothing is stored then."""
    _sync(written)
    with _quota:
        require_room(store, new.owner, new.bytes, quota)
        with explained(written.path):
            written.publish()
        try:
            return store.add_file(new)
        except BaseException:
            written.path.unlink(missing_ok=True)
            raise


def store_part(
    store: HttpStore, upload_id: str, owner: str, written: draft.Draft, quota: int
) -> bool:
    """Publish a draft as a part of an upload: False if that is not pending any more. Raises as
    `store_file` does."""
    size = written.file.tell()
    _sync(written)
    with _quota:
        require_room(store, owner, size, quota)
        with explained(written.path):
            written.publish()
        is_stored = False
        try:
            is_stored = store.add_upload_part(written.path.name, upload_id, size)
        finally:
            if not is_stored:
                written.path.unlink(missing_ok=True)
    return is_stored


def _sync(written: draft.Draft) -> None:
    """Before others have to wait: what is left to sync then is little."""
    with explained(written.path):
        written.file.flush()
        os.fsync(written.file.fileno())


def require_room(store: HttpStore, owner: str, size: int, quota: int) -> None:
    """Raise `ApiError` 413 if so many bytes more are more than an owner may store."""
    stored = store.bytes_stored(owner)
    if stored + size > quota:
        raise ApiError(
            413,
            f"{size:,} bytes are more than your quota leaves: {stored:,} of {quota:,} bytes are "
            "in use. Delete files that are not needed",
            code="quota_exceeded",
            param="file",
        )


def delete(store: HttpStore, state: StateDir, file: File) -> None:
    """Delete a file. A kill in between leaves bytes that `expiry.sweep` deletes."""
    store.remove_file(file.id)
    path_of(state, file).unlink(missing_ok=True)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """An `OSError` inside becomes an `ApiError` 507 that says why `path` cannot be written."""
    try:
        yield
    except OSError as error:
        why = no_room.reason(error, path) or reason(error)
        words = f"the file cannot be stored at {path.parent.name}: {why}"
        raise ApiError(507, words, errors.SERVER, "storage_unusable") from error
