"""/v1/files: with openai's own client, and with what no client sends."""

from __future__ import annotations

import io
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai.types import FileObject
from support.gateway import Serving, gateway
from support.gateway_keys import make_key
from support.patience import HANG_SECONDS

from jobs import clock
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.files import expiry

Until = Callable[..., Any]
NO_SERVER = "http://127.0.0.1:9"
FORM = "multipart/form-data; boundary=edge"


@dataclass(frozen=True)
class Running:
    """A gateway without a server behind it: files need none."""

    serving: Serving
    client: openai.OpenAI
    state: StateDir

    @property
    def url(self) -> str:
        return f"{self.serving.url}/v1/files"

    def on_disk(self) -> list[Path]:
        folder = self.state.gateway_files
        return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    state = StateDir(tmp_path_factory.mktemp("files") / "state").create()
    with gateway(state, NO_SERVER, KTJOB_CONFIG="/nowhere", KTJOB_CACHE="/nowhere") as one:
        yield Running(one, one.shared_client(), state)


@pytest.fixture(autouse=True)
def _empty(running: Running) -> Iterator[None]:
    yield
    for file in running.client.files.list():
        running.client.files.delete(file.id)
    assert running.on_disk() == []


def part(name: str, content: bytes = b"x", filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'--edge\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = b"--edge--\r\n"
BATCH = part("purpose", b"batch")


def post(running: Running, body: bytes, kind: str = FORM, **headers: str) -> httpx2.Response:
    return httpx2.post(running.url, content=body, headers={"content-type": kind, **headers})


def test_a_file_comes_back_as_it_was(running: Running) -> None:
    client = running.client
    made = client.files.create(
        file=("Bericht ü.jsonl", b"\x00\xff line\r\n--edge"),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 7200},
    )
    FileObject.model_validate(made.to_dict(), strict=True)
    assert made.id.startswith("file-") and made.bytes == 15 and made.status == "processed"
    assert made.filename == "Bericht ü.jsonl" and made.purpose == "batch"
    assert made.expires_at is not None and made.expires_at - made.created_at in (7199, 7200, 7201)
    assert client.files.retrieve(made.id) == made
    assert client.files.wait_for_processing(made.id) == made
    content = client.files.content(made.id)
    assert content.read() == b"\x00\xff line\r\n--edge"
    headers = content.response.headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-disposition"].startswith("attachment; filename=")
    assert "UTF-8''Bericht%20%C3%BC.jsonl" in headers["content-disposition"]
    url = f"{running.url}/{made.id}/content"
    assert httpx2.get(url, headers={"range": "bytes=0-1"}).content == b"\x00\xff"
    for wrong, status in (("x", 400), ("bytes=5-1", 400), ("bytes=99-", 416)):
        answer = httpx2.get(url, headers={"range": wrong})
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, "range")
    (path,) = running.on_disk()
    assert path.name == made.id and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    gone = client.files.delete(made.id)
    assert gone.deleted and gone.id == made.id and gone.object == "file"
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError):
            call(made.id)


def test_lists_have_pages_an_order_and_a_purpose(running: Running) -> None:
    create = running.client.files.create
    ids = [create(file=(f"{n}", b"x"), purpose="user_data").id for n in range(3)]
    batch = create(file=("b", b"x"), purpose="batch").id
    listed = running.client.files.list
    assert [one.id for one in listed(order="asc", limit=2)] == [*ids, batch]  # fetches on
    assert [one.id for one in listed()] == [batch, *reversed(ids)]
    assert [one.id for one in listed(purpose="batch")] == [batch]
    page = listed(limit=2, after=batch)
    assert [one.id for one in page.data] == [ids[2], ids[1]] and page.has_more
    raw = httpx2.get(running.url, params={"limit": 1, "order": "asc"}).json()
    assert raw["first_id"] == raw["last_id"] == ids[0] and raw["object"] == "list"
    for wrong in ({"limit": 0}, {"limit": 10_001}, {"limit": "x"}, {"order": "up"}):
        answer = httpx2.get(running.url, params=wrong)  # type: ignore[arg-type]
        assert answer.status_code == 400 and answer.json()["error"]["param"] in wrong
    assert httpx2.get(running.url, params={"after": "file-none"}).status_code == 404


@pytest.mark.promise
def test_forms_that_are_wrong_leave_nothing(running: Running) -> None:
    """Each is refused with the field's name, and nothing stays on disk."""
    file = part("file", b"content", "a.jsonl")
    cases: list[tuple[bytes, str | None]] = [
        (BATCH + END, "file"),
        (file + END, "purpose"),
        (part("purpose", b"wrong") + file + END, "purpose"),
        (BATCH + file + file + END, "file"),
        (BATCH + BATCH + file + END, "purpose"),
        (BATCH + part("other", b"x", "b") + file + END, "other"),
        (BATCH + part("note", b"x" * 20_000) + file + END, "note"),
        (b"".join(part(f"n{n}") for n in range(40)) + BATCH + file + END, None),
        (BATCH + part("expires_after[seconds]", b"9") + file + END, "expires_after[anchor]"),
        (
            BATCH
            + part("expires_after[anchor]", b"created_at")
            + part("expires_after[seconds]", b"9")
            + file
            + END,
            "expires_after[seconds]",
        ),
        (BATCH + file, None),  # without its end
        (BATCH + file[:-4], None),
        (b"nothing of the kind", None),
        (b"--edge\r\nX: y\r\n\r\nx\r\n" + END, None),
        (b"--edge\r\nX: " + b"y" * 100_000 + b"\r\n\r\nx\r\n" + END, None),
        (b"", None),
    ]
    for body, param in cases:
        answer = post(running, body)
        assert answer.status_code == 400, (body[:80], answer.text)
        assert answer.json()["error"]["param"] == param, answer.text
        assert answer.headers["x-should-retry"] == "false"
        assert running.on_disk() == []
    for kind in (
        "multipart/form-data",
        "application/json",
        "text/plain",
        "multipart/mixed; boundary=edge",
    ):
        assert post(running, BATCH + file + END, kind).status_code == 400
    assert running.on_disk() == []
    assert post(running, file + BATCH + END).status_code == 200  # in any order


@pytest.mark.promise
def test_names_are_only_shown(running: Running) -> None:
    for name, shown in (
        ("../../../etc/passwd", "passwd"),
        ("C:\\\\a\\\\b.txt", "b.txt"),
        ("..", "file"),
        ("a%00b", "a%00b"),
        ("x" * 1000, "x" * 255),
        ("", "file"),
    ):
        answer = post(running, BATCH + part("file", b"x", name) + END)
        assert answer.status_code == 200 and answer.json()["filename"] == shown
        content = httpx2.get(f"{running.url}/{answer.json()['id']}/content")
        assert content.status_code == 200 and "\n" not in content.headers["content-disposition"]
    assert all(path.name.startswith("file-") for path in running.on_disk())
    secret = running.state.root / "secret"
    secret.write_text("private")
    for wrong in (
        "..%2f..%2fsecret",
        "%2e%2e",
        "file-%00",
        "file-x%2f..%2f..%2f..%2fsecret",
        "file-%ff",
    ):
        for call in (httpx2.get, httpx2.delete):
            answer = call(f"{running.url}/{wrong}")
            assert answer.status_code in (404, 405) and "private" not in answer.text
        answer = httpx2.get(f"{running.url}/{wrong}/content")
        assert answer.status_code == 404 and "private" not in answer.text
    assert secret.read_text() == "private"


@pytest.mark.promise
def test_a_body_that_is_too_large_is_refused(running: Running) -> None:
    """By its length before it is read; without a length, when it is."""
    head = f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n".encode()
    place = ("127.0.0.1", running.serving.port)
    with socket.create_connection(place, timeout=HANG_SECONDS) as one:
        one.sendall(head + b"Expect: 100-continue\r\nContent-Length: 201000001\r\n\r\n")
        answer = one.recv(10_000)
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b"100 Continue" not in answer

    def chunks() -> Iterator[bytes]:
        yield BATCH + part("file", b"", "a").removesuffix(b"\r\n")
        for _ in range(201):
            yield bytes(1_000_000)
        yield b"\r\n" + END

    try:
        answer = httpx2.post(running.url, content=chunks(), headers={"content-type": FORM})
        assert answer.status_code == 413 and answer.json()["error"]["code"] == "request_too_large"
    except httpx2.TransportError:
        pass  # it was closed before all was sent
    with pytest.raises(openai.APIStatusError) as caught:
        running.client.files.create(file=io.BytesIO(bytes(202_000_000)), purpose="batch")
    assert caught.value.status_code == 413


def test_a_client_that_goes_leaves_nothing(running: Running, until: Until) -> None:
    head = f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n".encode()
    with socket.create_connection(("127.0.0.1", running.serving.port)) as one:
        body = BATCH + part("file", bytes(3_000_000), "a")
        one.sendall(head + b"Content-Length: 9000000\r\n\r\n" + body)
        until(lambda: running.on_disk())
    until(lambda: not running.on_disk())
    assert "Traceback" not in running.serving.log.read_text(encoding="utf-8")


def test_what_expires_and_what_is_left_is_swept(running: Running) -> None:
    """Expired files are not shown even before they are deleted."""
    client, state = running.client, running.state
    keep = client.files.create(file=("a", b"x"), purpose="batch").id
    end = client.files.create(
        file=("a", b"x"),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 3600},
    ).id
    with HttpStore.open(state) as store, store._transaction():
        store._usable().execute("UPDATE files SET expires_at = ? WHERE id = ?", (clock.now(), end))
    assert [one.id for one in client.files.list()] == [keep]
    with pytest.raises(openai.NotFoundError):
        client.files.content(end)
    for left in ("file-left", ".ktjob-left"):
        (state.gateway_files / left).write_bytes(b"x")
    expiry.sweep(state)
    assert {path.name for path in running.on_disk()} == {keep, "file-left", ".ktjob-left"}
    expiry.sweep(state, orphan_seconds=0.0)
    assert [path.name for path in running.on_disk()] == [keep]


@pytest.mark.promise
def test_a_key_sees_only_its_own(state: StateDir) -> None:
    """Files, uploads, batches and results, in every call; an administrator's key sees all."""
    names = ("ann", "ben", "root")
    keys = [make_key(state, name, is_admin=name == "root").key for name in names]
    with gateway(state, NO_SERVER) as one:
        ann, ben, root = map(one.client, keys)
        file = ann.files.create(file=("a", b"{}\n"), purpose="batch").id
        upload = ann.uploads.create(bytes=2, filename="b", mime_type="c", purpose="batch").id
        wanted: Any = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
        batch = ann.batches.create(input_file_id=file, **wanted).id
        ann.batches.cancel(batch)
        calls: list[Callable[[openai.OpenAI], object]] = [
            lambda client: client.files.retrieve(file),
            lambda client: client.files.content(file),
            lambda client: client.files.list(after=file),
            lambda client: client.uploads.parts.create(upload, data=b"ab"),
            lambda client: client.uploads.complete(upload, part_ids=["x"]),
            lambda client: client.batches.create(input_file_id=file, **wanted),
            lambda client: client.batches.retrieve(batch),
            lambda client: client.batches.list(after=batch),
            lambda client: client.batches.cancel(batch),
            lambda client: client.uploads.cancel(upload),
            lambda client: client.files.delete(file),
        ]
        for call in calls:
            with pytest.raises(openai.NotFoundError):
                call(ben)
        assert list(ben.files.list()) == [] and list(ben.batches.list()) == []
        for client in (ann, root):
            assert file in [one.id for one in client.files.list()]
            assert batch in [one.id for one in client.batches.list()]
            assert client.batches.retrieve(batch).id == batch
        assert root.uploads.cancel(upload).status == "cancelled"
        with pytest.raises(openai.AuthenticationError):
            one.client("none").files.list()
