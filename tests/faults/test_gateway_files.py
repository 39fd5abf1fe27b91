"""Files of the gateway while it is killed, and while its disk is full."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from support import small_disk
from support.gateway import gateway

from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir

Until = Callable[..., Any]
NO_SERVER = "http://127.0.0.1:9"
FORM = b"Content-Type: multipart/form-data; boundary=edge\r\n"
BEGIN = (
    b'--edge\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
)


@pytest.mark.promise
def test_a_kill_in_mid_upload_leaves_what_is_whole(state: StateDir, until: Until) -> None:
    """The half file has no row, and is swept; whole files and parts are there."""
    with gateway(state, NO_SERVER) as one:
        client = one.client()
        file = client.files.create(file=("a", b"whole"), purpose="batch")
        made = client.uploads.create(bytes=4, filename="b", mime_type="c", purpose="batch")
        first = client.uploads.parts.create(made.id, data=b"ab").id
        with socket.create_connection(("127.0.0.1", one.port)) as slow:
            head = b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
            slow.sendall(head + FORM + b"\r\n" + BEGIN + bytes(4_000_000))
            drafts = until(lambda: list(state.gateway_files.glob(".*")))
            until(lambda: drafts[0].stat().st_size > 1_000_000)
            one.kill()
        os.utime(drafts[0], (0, 0))
    with gateway(state, NO_SERVER) as one:
        client = one.client()
        assert [found.id for found in client.files.list()] == [file.id]
        assert client.files.content(file.id).read() == b"whole"
        until(lambda: not drafts[0].exists())  # the next gateway begins with a sweep
        assert {path.name for path in state.gateway_files.iterdir()} == {file.id, first}
        second = client.uploads.parts.create(made.id, data=b"cd").id
        done = client.uploads.complete(made.id, part_ids=[first, second])
        assert client.files.content(done.file.id).read() == b"abcd"


@pytest.mark.mount
@pytest.mark.promise
def test_a_full_disk_refuses_files_in_words(tmp_path: Path, until: Until) -> None:
    """Nothing stays of them; when there is space again, the same request succeeds."""
    with small_disk.mounted(tmp_path / "disk", mib=24) as disk:
        state = StateDir(disk.path / "state").create()
        HttpStore.open(state).close()
        with gateway(state, NO_SERVER) as one:
            client = one.client()
            whole = client.files.create(file=("a", b"x"), purpose="batch")
            made = client.uploads.create(
                bytes=4_000_000, filename="b", mime_type="c", purpose="batch"
            )
            disk.fill(leave_kib=2000)
            for call in (
                lambda: client.files.create(file=("b", bytes(8_000_000)), purpose="batch"),
                lambda: client.uploads.parts.create(made.id, data=bytes(4_000_000)),
            ):
                with pytest.raises(openai.InternalServerError, match="disk is full") as caught:
                    call()
                assert caught.value.status_code == 507
                assert caught.value.response.headers["x-should-retry"] == "false"
            assert [path.name for path in state.gateway_files.iterdir()] == [whole.id]
            assert [found.id for found in client.files.list()] == [whole.id]
            disk.free()
            again = client.files.create(file=("b", bytes(8_000_000)), purpose="batch")
            assert again.bytes == 8_000_000
