"""Uploads: a file in parts, each of which can be sent again alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from jobs import clock, draft
from jobs.store.http.store import HttpStore
from jobs.store.http.values import File, NewFile, Upload, UploadPart
from jobs.store.state_dir import StateDir
from ktclient.gateway import visibility
from ktclient.gateway.context import Caller
from ktclient.gateway.files import file_object, multipart, storage
from ktclient.gateway.files.file_object import Shown
from ktclient.gateway.wire.errors import ApiError
from ktclient.wording import quote

MOST_PART_BYTES = 64 * 1024 * 1024
LIFE_SECONDS = 3600.0
"""How long an upload waits for its parts."""
PENDING, COMPLETED, CANCELLED = "pending", "completed", "cancelled"
_BLOCK_BYTES = 1_000_000


def create(store: HttpStore, owner: str, given: Mapping[str, Any], quota: int) -> Upload:
    """A new upload of what the body says. Raises `ApiError`."""
    size = given.get("bytes")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise _invalid("bytes", "must be the size of the whole file, a number above 0")
    names = {name: given.get(name) for name in ("filename", "mime_type")}
    for name, text in names.items():
        if not isinstance(text, str) or not text or len(text) > multipart.MOST_FIELD_BYTES:
            raise _invalid(name, "is missing, or no text")
    new = Upload(
        id=storage.new_id(storage.UPLOAD),
        owner=owner,
        filename=multipart.shown_name(str(names["filename"])),
        purpose=file_object.purpose(given.get("purpose")),
        mime_type=str(names["mime_type"]),
        bytes=size,
        status=PENDING,
        file_id=None,
        file_seconds=file_object.lifetime(given.get("expires_after")),
        created_at=clock.now(),
        expires_at=clock.ago(-LIFE_SECONDS),
    )
    storage.require_room(store, owner, size, quota)
    return store.add_upload(new)


def find(store: HttpStore, caller: Caller, upload_id: str) -> Upload:
    """The upload with this id. Raises `ApiError` 404, also for another caller's."""
    upload = store.upload(upload_id) if upload_id.isascii() else None
    if upload is None or not (caller.sees is None or upload.owner == caller.sees):
        raise visibility.not_found(upload_id)
    return upload


def find_pending(store: HttpStore, caller: Caller, upload_id: str) -> Upload:
    """The same for one that takes parts. Raises `ApiError` 400 for one that does not any more."""
    upload = find(store, caller, upload_id)
    if status_of(upload) != PENDING:
        raise not_pending(upload)
    return upload


def status_of(upload: Upload) -> str:
    """An upload's status, also before its end was recorded."""
    is_over = upload.status == PENDING and upload.expires_at <= clock.now()
    return "expired" if is_over else upload.status


def not_pending(upload: Upload) -> ApiError:
    """The error for a change of an upload that has ended."""
    words = f"the upload {upload.id} is {status_of(upload)}. Create another one"
    return ApiError(400, words, code="upload_not_pending")


def cancel(store: HttpStore, state: StateDir, caller: Caller, upload_id: str) -> Upload:
    """Cancel a pending upload, and delete its parts. Twice is once. Raises `ApiError`."""
    upload = find(store, caller, upload_id)
    if upload.status != CANCELLED:
        if status_of(upload) != PENDING:
            raise not_pending(upload)
        parts = store.upload_parts(upload.id)
        if not store.end_upload(upload.id, CANCELLED):
            return cancel(store, state, caller, upload_id)  # another request was first
        _delete(state, parts)
    return find(store, caller, upload_id)


def complete(state: StateDir, caller: Caller, upload_id: str, given: Mapping[str, Any]) -> Upload:
    """Join the parts to a file, in the order of `part_ids`. An upload that is complete already
    stays so: the answer to the first request may have been lost. For a thread: it copies the whole
    file. Raises `ApiError`."""
    with HttpStore.open_existing(state) as store:
        upload = find(store, caller, upload_id)
        if upload.status == COMPLETED:
            return upload
        if status_of(upload) != PENDING:
            raise not_pending(upload)
        parts = _in_order(given.get("part_ids"), store.upload_parts(upload.id))
        size = sum(part.bytes for part in parts)
        if size != upload.bytes:
            words = (
                f"the parts have {size:,} bytes, and the upload was created for {upload.bytes:,}"
            )
            raise ApiError(400, words, code="wrong_size", param="part_ids")
        new = NewFile(
            id=storage.new_id(storage.FILE),
            owner=upload.owner,
            filename=upload.filename,
            purpose=upload.purpose,
            bytes=size,
            expires_at=file_object.expiry(upload.file_seconds),
        )
        _store_joined(store, state, upload, new, (parts, given.get("md5")))
        ended = find(store, caller, upload_id)
    if ended.status != COMPLETED:
        raise not_pending(ended)
    return ended


def _store_joined(
    store: HttpStore,
    state: StateDir,
    upload: Upload,
    new: NewFile,
    joined: tuple[Sequence[UploadPart], object],
) -> None:
    """Store the file, unless another request ends the upload meanwhile."""
    stored = store.upload_parts(upload.id)
    written = storage.new_draft(state, new.id)
    try:
        _join(state, joined[0], written, joined[1])
        with storage.explained(written.path):
            written.publish()
    except FileNotFoundError:  # a part was deleted with the end of the upload
        return
    finally:
        written.drop()
    if store.end_upload(upload.id, COMPLETED, new):
        _delete(state, stored)
    else:
        written.path.unlink(missing_ok=True)


def _in_order(given: object, stored: Sequence[UploadPart]) -> list[UploadPart]:
    if not isinstance(given, list) or not given or not all(isinstance(one, str) for one in given):
        raise _invalid("part_ids", "must be a list of ids of parts")
    by_id = {part.id: part for part in stored}
    for one in given:
        if one not in by_id:
            raise _invalid("part_ids", f"names {quote(one)}, which is no part of this upload")
    if len(set(given)) < len(given):
        raise _invalid("part_ids", "names a part twice")
    return [by_id[one] for one in given]


def _join(state: StateDir, parts: Sequence[UploadPart], written: draft.Draft, md5: object) -> None:
    """Raises `ApiError`, and `FileNotFoundError` where a part is missing."""
    found = hashlib.md5(usedforsecurity=False)
    for part in parts:
        with storage.path_of_id(state, part.id).open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                found.update(block)
                with storage.explained(written.path):
                    written.file.write(block)
    if md5 is not None and str(md5).lower() != found.hexdigest():
        words = f"the parts have the MD5 {found.hexdigest()}, not {quote(str(md5))}"
        raise ApiError(400, words, code="wrong_checksum", param="md5")


def _delete(state: StateDir, parts: Sequence[UploadPart]) -> None:
    for part in parts:
        storage.path_of_id(state, part.id).unlink(missing_ok=True)


def _invalid(param: str, words: str) -> ApiError:
    return ApiError(400, f"{param} {words}", code="invalid_value", param=param)


def to_json(upload: Upload, file: File | None) -> dict[str, object]:
    """OpenAI's object. `file`: the finished one, if it still exists."""
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.bytes,
        "created_at": file_object.epoch(upload.created_at),
        "expires_at": file_object.epoch(upload.expires_at),
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": status_of(upload),
        "file": None if file is None else Shown.of(file).to_json(),
    }


def part_to_json(part_id: str, upload_id: str) -> dict[str, object]:
    """OpenAI's object of a part that was just stored."""
    return {
        "id": part_id,
        "object": "upload.part",
        "created_at": file_object.epoch(clock.now()),
        "upload_id": upload_id,
    }
