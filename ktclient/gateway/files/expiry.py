"""What is deleted by itself: expired files, uploads that were not completed, and what kills left
on disk."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from jobs import clock
from jobs.errors import KtjobError
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.files import storage

ORPHAN_SECONDS = 3600.0
"""How long bytes without a row were not written to, before they are taken for left behind: a draft
of an upload that goes on is written to all the time."""
_LOG = logging.getLogger("ktjob")


def sweep(state: StateDir, orphan_seconds: float = ORPHAN_SECONDS) -> None:
    """Delete what has expired, and what has no row. Logs what cannot be deleted now; a later sweep
    tries again."""
    try:
        with HttpStore.open_existing(state) as store:
            for file in store.expired_files():
                storage.delete(store, state, file)
            for upload in store.expired_uploads():
                parts = store.upload_parts(upload.id)
                if store.end_upload(upload.id, "expired"):
                    for part in parts:
                        storage.path_of_id(state, part.id).unlink(missing_ok=True)
            remove_orphans(state, store, orphan_seconds)
    except (KtjobError, OSError) as error:
        _LOG.warning("files that are not to be kept could not be deleted for now: %s", error)


def remove_orphans(state: StateDir, store: HttpStore, orphan_seconds: float) -> None:
    """Delete drafts and bytes that no row names, and results of batches that no longer exist."""
    old = _old_files(state.gateway_files, orphan_seconds)
    known = store.stored_ids()  # read after the folder: a row is stored after its file
    for path in old:
        if path.name not in known:
            path.unlink(missing_ok=True)
    for path in _old_files(state.gateway_batches, orphan_seconds):
        if path.name.startswith(".") or not store.exists(path.name.partition(".")[0]):
            path.unlink(missing_ok=True)


def _old_files(folder: Path, seconds: float) -> list[Path]:
    found, now = [], clock.utc().timestamp()
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if now - path.stat().st_mtime >= seconds:
                    found.append(path)
    return found
