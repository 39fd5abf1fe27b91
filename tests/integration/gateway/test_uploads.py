"""/v1/uploads: a file in parts, with openai's own client."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest
from openai.types import Upload
from support.gateway import gateway

from jobs import clock
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.files import expiry

TEXT = bytes(range(256)) * 4000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, StateDir]]:
    """openai's client of a gateway without a server behind it, and the state directory."""
    state = StateDir(tmp_path_factory.mktemp("uploads") / "state").create()
    environment = {"KTJOB_CONFIG": "/nowhere", "KTJOB_CACHE": "/nowhere"}
    with gateway(state, "http://127.0.0.1:9", **environment) as one:
        yield one.shared_client(), state


def on_disk(state: StateDir) -> set[str]:
    return {path.name for path in state.gateway_files.iterdir()}


def create(client: Any, size: int = len(TEXT), **more: Any) -> Upload:
    given = {"filename": "a.jsonl", "mime_type": "text/jsonl", "purpose": "batch", **more}
    made: Upload = client.uploads.create(bytes=size, **given)
    return made


def test_a_file_in_parts_is_one_file(running: tuple[Any, StateDir]) -> None:
    """Parts may come at the same time and in any order: `part_ids` has the order that counts."""
    client, state = running
    done = client.uploads.upload_file_chunked(
        file=TEXT,
        filename="a.jsonl",
        bytes=len(TEXT),
        mime_type="text/jsonl",
        purpose="batch",
        part_size=300_000,
        md5=hashlib.md5(TEXT).hexdigest(),
    )
    assert done.status == "completed" and client.files.content(done.file.id).read() == TEXT

    made = create(client, expires_after={"anchor": "created_at", "seconds": 3600})
    Upload.model_validate(made.to_dict(), strict=True)
    assert made.status == "pending" and made.expires_at - made.created_at == 3600
    pieces = [TEXT[at : at + 400_000] for at in range(0, len(TEXT), 400_000)]
    with ThreadPoolExecutor() as pool:
        added = pool.map(
            lambda piece: client.uploads.parts.create(made.id, data=io.BytesIO(piece)).id, pieces
        )
        ids = list(added)
    done = client.uploads.complete(made.id, part_ids=ids)
    assert done.file is not None and done.file.filename == "a.jsonl" and done.file.expires_at
    assert client.files.content(done.file.id).read() == TEXT
    again = client.uploads.complete(made.id, part_ids=ids)
    assert again.file is not None and again.file.id == done.file.id
    assert {one.id for one in client.files.list()} == on_disk(state)  # the parts are gone
    with pytest.raises(openai.BadRequestError):
        client.uploads.cancel(made.id)
    with pytest.raises(openai.BadRequestError, match="is completed"):
        client.uploads.parts.create(made.id, data=b"x")
    for file in client.files.list():
        client.files.delete(file.id)


def test_what_does_not_add_up_is_refused(running: tuple[Any, StateDir]) -> None:
    client, state = running
    made = create(client, 4)
    one, two = (client.uploads.parts.create(made.id, data=b"ab").id for _ in range(2))
    for change, param in (
        ({"part_ids": [one]}, "part_ids"),
        ({"part_ids": [one, one]}, "part_ids"),
        ({"part_ids": [one, "part_none"]}, "part_ids"),
        ({"part_ids": []}, "part_ids"),
        ({"part_ids": [one, two], "md5": "0" * 32}, "md5"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.uploads.complete(made.id, **change)
        assert caught.value.param == param
    assert on_disk(state) == {one, two}
    assert client.uploads.complete(made.id, part_ids=[two, one]).status == "completed"
    for wrong in ({"bytes": 0}, {"bytes": "4"}, {"purpose": "x"}, {"filename": ""}):
        good = {"bytes": 4, "filename": "a", "mime_type": "b", "purpose": "batch"}
        answer = httpx2.post(f"{client.base_url}uploads", json={**good, **wrong})
        assert answer.status_code == 400 and answer.json()["error"]["param"] in wrong
    with pytest.raises(openai.APIStatusError) as refused:
        create(client, 10**12)
    assert refused.value.status_code == 413 and refused.value.code == "quota_exceeded"
    for unknown in ("upload_none", "../x", "upload_%00"):
        with pytest.raises(openai.NotFoundError):
            client.uploads.parts.create(unknown, data=b"x")
        with pytest.raises(openai.NotFoundError):
            client.uploads.complete(unknown, part_ids=["x"])
        with pytest.raises(openai.NotFoundError):
            client.uploads.cancel(unknown)


def test_an_upload_ends_by_itself_or_by_a_cancel(running: tuple[Any, StateDir]) -> None:
    client, state = running
    made, left = create(client, 2), create(client, 2)
    parts = [client.uploads.parts.create(one.id, data=b"ab").id for one in (made, left)]
    assert client.uploads.cancel(made.id).status == "cancelled"
    assert client.uploads.cancel(made.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="is cancelled"):
        client.uploads.complete(made.id, part_ids=parts[:1])
    assert parts[0] not in on_disk(state) and parts[1] in on_disk(state)
    with HttpStore.open(state) as store, store._transaction():
        store._usable().execute("UPDATE uploads SET expires_at = ?", (clock.now(),))
    with pytest.raises(openai.BadRequestError, match="is expired"):
        client.uploads.complete(left.id, part_ids=parts[1:])
    expiry.sweep(state)
    assert parts[1] not in on_disk(state)
