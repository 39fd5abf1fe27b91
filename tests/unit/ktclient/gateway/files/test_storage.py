"""Whose files are whose, and how much each may store."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.store.http.store import HttpStore
from jobs.store.http.values import File, NewFile
from jobs.store.state_dir import StateDir
from ktclient.gateway.context import Caller
from ktclient.gateway.files import expiry, listing, storage, uploads
from ktclient.gateway.files.list_query import ListQuery
from ktclient.gateway.wire.errors import ApiError

ANNA, BEN, ADMIN = Caller("anna", is_admin=False), Caller("ben", is_admin=False), Caller("root")
ALL = ListQuery(100, None, is_descending=True)
QUOTA = 10


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state").create()


def store_file(state: StateDir, owner: str, content: bytes) -> File:
    new = NewFile(storage.new_id(storage.FILE), owner, "a", "batch", len(content))
    written = storage.new_draft(state, new.id)
    written.file.write(content)
    try:
        with HttpStore.open(state) as store:
            return storage.store_file(store, new, written, QUOTA)
    finally:
        written.drop()


def test_anothers_file_is_not_there(state: StateDir) -> None:
    """In no way and in no list; an administrator's key sees all."""
    file = store_file(state, "anna", b"1234")
    for caller in (ANNA, ADMIN):
        assert listing.find(state, caller, file.id).path.read_bytes() == b"1234"
        page = listing.page(state, caller, ALL, None)
        assert [one["id"] for one in page["data"]] == [file.id]  # type: ignore[attr-defined]
    missing = []
    for act in (listing.find, listing.delete):
        for file_id in (file.id, "file-none"):
            with pytest.raises(ApiError) as caught:
                act(state, BEN, file_id)
            missing.append((caught.value.status, caught.value.message.replace(file_id, "")))
    assert missing == [missing[0]] * 4 and missing[0][0] == 404
    assert listing.page(state, BEN, ALL, None)["data"] == []
    with pytest.raises(ApiError):
        listing.page(state, BEN, ListQuery(1, file.id, is_descending=True), None)
    listing.delete(state, ANNA, file.id)
    assert list(state.gateway_files.iterdir()) == []


def test_anothers_upload_is_not_there(state: StateDir) -> None:
    given = {"bytes": 4, "filename": "a", "mime_type": "b", "purpose": "batch"}
    with HttpStore.open(state) as store:
        upload = uploads.create(store, "anna", given, QUOTA)
        for act in (
            lambda caller: uploads.find(store, caller, upload.id),
            lambda caller: uploads.find_pending(store, caller, upload.id),
            lambda caller: uploads.cancel(store, state, caller, upload.id),
            lambda caller: uploads.complete(state, caller, upload.id, {"part_ids": ["x"]}),
        ):
            with pytest.raises(ApiError) as caught:
                act(BEN)
            assert caught.value.status == 404
        assert uploads.find(store, ANNA, upload.id).status == "pending"


def test_a_quota_is_each_owners_own(state: StateDir) -> None:
    """Files and parts of pending uploads count; what is refused leaves nothing."""
    store_file(state, "anna", b"123456")
    with pytest.raises(ApiError, match="6 of 10 bytes are in use") as caught:
        store_file(state, "anna", b"12345")
    assert caught.value.status == 413 and caught.value.code == "quota_exceeded"
    store_file(state, "ben", b"1234567890")
    given = {"bytes": 4, "filename": "a", "mime_type": "b", "purpose": "batch"}
    with HttpStore.open(state) as store:
        upload = uploads.create(store, "anna", given, QUOTA)
        written = storage.new_draft(state, storage.new_id(storage.PART))
        written.file.write(b"1234")
        assert storage.store_part(store, upload.id, "anna", written, QUOTA)
        with pytest.raises(ApiError, match="10 of 10"):
            storage.require_room(store, "anna", 1, QUOTA)
        done = uploads.complete(state, ANNA, upload.id, {"part_ids": [written.path.name]})
        assert done.status == "completed" and store.bytes_stored("anna") == 10
    assert len(list(state.gateway_files.iterdir())) == 3


def test_a_part_of_an_upload_that_ended_leaves_nothing(state: StateDir) -> None:
    given = {"bytes": 4, "filename": "a", "mime_type": "b", "purpose": "batch"}
    with HttpStore.open(state) as store:
        upload = uploads.create(store, "anna", given, QUOTA)
        uploads.cancel(store, state, ANNA, upload.id)
        written = storage.new_draft(state, storage.new_id(storage.PART))
        written.file.write(b"1234")
        assert not storage.store_part(store, upload.id, "anna", written, QUOTA)
    assert list(state.gateway_files.iterdir()) == []


def test_a_sweep_bears_a_store_that_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expiry.sweep(StateDir(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
    assert len(caplog.records) <= 1
