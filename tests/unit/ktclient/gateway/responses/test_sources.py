"""What the input of a response may refer to."""

from __future__ import annotations

import base64

import pytest

from jobs.store.http.store import HttpStore
from jobs.store.http.values import NewFile
from jobs.store.state_dir import StateDir
from ktclient.documents import document
from ktclient.gateway.context import Caller
from ktclient.gateway.files import storage
from ktclient.gateway.responses.sources import StoreSources
from ktclient.gateway.wire.errors import ApiError

PARAM = "input[0].content[0]"


def code_of(sources: StoreSources, part: dict[str, object]) -> str | None:
    with pytest.raises(ApiError) as caught:
        sources.file(part, PARAM)
    assert caught.value.param is not None and caught.value.param.startswith(PARAM)
    return caught.value.code


def test_a_file_is_read_by_its_owner_only(state: StateDir) -> None:
    with HttpStore.open(state) as store:
        written = storage.new_draft(state, "file-1")
        written.file.write(b"Forty-two.")
        new = NewFile("file-1", "ann", "a.txt", "user_data", 10)
        storage.store_file(store, new, written, 10**6)
    ann, ben = (StoreSources(state, Caller(one, is_admin=False)) for one in ("ann", "ben"))
    assert ann.file({"file_id": "file-1"}, PARAM) == ("a.txt", "Forty-two.")
    assert code_of(ben, {"file_id": "file-1"}) == "file_not_found"
    storage.path_of_id(state, "file-1").unlink()
    assert code_of(ann, {"file_id": "file-1"}) == "file_not_found"


def test_a_file_that_is_too_large_is_not_read(state: StateDir) -> None:
    """It would take the gateway's memory. There are no bytes here: none are looked at."""
    with HttpStore.open(state) as store:
        store.add_file(NewFile("file-2", "", "b", "user_data", document.MOST_BYTES + 1))
    sources = StoreSources(state, Caller())
    assert code_of(sources, {"file_id": "file-2"}) == "file_too_large"


@pytest.mark.parametrize("data", ["Forty-two", "data:text/plain,Forty-two", "data:;base64", "§"])
def test_data_that_is_none_is_refused(state: StateDir, data: str) -> None:
    assert code_of(StoreSources(state, Caller()), {"file_data": data}) == "invalid_value"


def test_data_has_the_name_that_its_sender_gave(state: StateDir) -> None:
    data = base64.b64encode(b"Forty-two.").decode()
    sources = StoreSources(state, Caller())
    for url in (data, f"data:text/plain;base64,{data}"):
        part = {"file_data": url, "filename": "c.txt"}
        assert sources.file(part, PARAM) == ("c.txt", "Forty-two.")
