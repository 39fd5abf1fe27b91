"""Requests that are none, and bodies that are too large or too slow."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ktclient.gateway.access import shape
from ktclient.gateway.access.asgi import Message, Receive, Scope, Send
from ktclient.gateway.access.shape import Incoming, Shape
from ktclient.gateway.context import Limits
from ktclient.gateway.wire.errors import ApiError


def answer_to(path: str, *headers: tuple[bytes, bytes]) -> tuple[int, dict[str, Any], bool]:
    """Status, error and whether the request reached the application."""
    sent: list[Message] = []
    reached = False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal reached
        reached = True

    async def receive() -> Message:
        raise AssertionError("a body that is refused is not read")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "method": "POST", "headers": list(headers)}
    asyncio.run(Shape(app, Limits(body_bytes=1000))(scope, receive, send))
    if not sent:
        return 200, {}, reached
    assert (b"connection", b"close") in sent[0]["headers"]
    return sent[0]["status"], json.loads(sent[1]["body"])["error"], reached


def test_what_is_too_large_is_told_before_it_is_read() -> None:
    status, error, reached = answer_to("/v1/files", (b"content-length", b"1001"))
    assert (status, error["code"], reached) == (413, "request_too_large", False)
    assert answer_to("/v1/files", (b"content-length", b"1000")) == (200, {}, True)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")],
        [(b"content-length", b"3"), (b"content-length", b"4")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
    ],
)
def test_two_ends_of_a_body_are_refused(headers: list[tuple[bytes, bytes]]) -> None:
    assert answer_to("/v1/files", *headers)[::2] == (400, False)


@pytest.mark.parametrize("path", ["http://127.0.0.1:8640/v1/models", "*", "", "v1/models"])
def test_a_target_that_is_no_path_is_refused(path: str) -> None:
    assert answer_to(path)[::2] == (400, False)


def test_a_compressed_body_is_refused() -> None:
    """A small one may become a large one."""
    assert answer_to("/v1/files", (b"content-encoding", b"gzip"))[::2] == (415, False)
    assert answer_to("/v1/files", (b"content-encoding", b"identity"))[::2] == (200, True)


def test_a_body_that_announced_nothing_is_counted() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * 400, "more_body": True}

    async def read() -> None:
        body = Incoming(receive, 1000)
        await body.receive()
        await body.receive()
        with pytest.raises(ApiError) as refused:
            await body.receive()
        assert refused.value.status == 413

    asyncio.run(read())


def test_a_body_that_stops_ends_and_what_comes_behind_it_may_take_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shape, "SILENT_SECONDS", 0.01)
    parts: list[Message] = [{"type": "http.request", "body": b"x", "more_body": True}]
    gone = asyncio.Event()

    async def receive() -> Message:
        if parts:
            return parts.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def read() -> None:
        body = Incoming(receive, 1000)
        await body.receive()
        with pytest.raises(ApiError) as refused:
            await body.receive()
        assert refused.value.status == 408 and refused.value.is_curable
        parts.append({"type": "http.request", "body": b"x", "more_body": False})
        whole = Incoming(receive, 1000)
        await whole.receive()
        waits = asyncio.create_task(whole.receive())
        await asyncio.sleep(0.05)  # five times what a body may take: nothing may happen
        assert not waits.done()
        gone.set()
        assert (await waits)["type"] == "http.disconnect"

    asyncio.run(read())


def test_a_body_that_comes_byte_by_byte_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never silent for long, but too slow in all."""
    now = 0.0

    async def receive() -> Message:
        nonlocal now
        now += 30.0
        return {"type": "http.request", "body": b"x", "more_body": True}

    monkeypatch.setattr("ktclient.gateway.access.shape.time.monotonic", lambda: now)

    async def read() -> int:
        body = Incoming(receive, 1000)
        count = 0
        with pytest.raises(ApiError):
            while count < 10:
                await body.receive()
                count += 1
        return count

    assert asyncio.run(read()) in (2, 3)
