"""What a short query gets from a reply of any kind: a whole one, or an error of httpx2."""

from __future__ import annotations

import gzip
import json
import socket

import httpx2
import pytest
from support.one_connection import read_request, server

from ktclient.errors import ReplyTooLarge
from ktclient.request import bounds, connection, error_mapping


def answering(head: bytes, body: bytes = b"") -> httpx2.Response:
    def behave(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 " + head + b"\r\nconnection: close\r\n\r\n" + body)

    with server(behave) as url, connection.short_client(None, url) as client:
        return client.get(f"{url}/v1/models?x=1")


@pytest.mark.parametrize("kind", ["zip", "idna", "utf-16", "unicode_escape", "hex"])
def test_a_charset_is_not_believed(kind: str) -> None:
    """Some of Python's codecs decode no text, and others take very long."""
    reply = answering(b"200 X\r\ncontent-type: text/plain; charset=" + kind.encode(), b"text")
    assert reply.text == "text"


def test_a_compressed_reply_is_read() -> None:
    reply = answering(b"200 X\r\ncontent-encoding: gzip", gzip.compress(b'{"a": [1.5]}'))
    assert reply.json() == {"a": [1.5]}


def test_its_status_and_what_it_says_of_waiting_are_kept() -> None:
    reply = answering(b"503 X\r\nretry-after: 7\r\nset-cookie: x=1", b"busy")
    assert (reply.status_code, reply.headers["retry-after"], reply.text) == (503, "7", "busy")
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000 + b"]" * 100_000, b"1e999", b"NaN", b"[-Infinity]", b"1" * 10_000, b"\xff"],
    ids=["nested", "huge", "nan", "infinity", "digits", "bytes"],
)
def test_json_that_is_none_is_a_value_error(body: bytes) -> None:
    """Whatever calls it expects that of a foreign server."""
    with pytest.raises(ValueError):
        answering(b"200 X", body).json()


def test_half_a_character_is_replaced_and_whole_ones_stay() -> None:
    """The store and a later request could not encode it."""
    body = rb'{"a\ud800": ["\ud83d\ude00", "x\uDC00y", 1.5], "b": "\\ud800"}'
    assert answering(b"200 X", body).json() == {
        "a\ufffd": ["\U0001f600", "x\ufffdy", 1.5],
        "b": "\\ud800",
    }


def test_too_much_is_an_error_of_httpx_and_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the query part of the address, which may hold a key."""
    monkeypatch.setattr(bounds, "REPLY_BYTES", 1_000)
    with pytest.raises(httpx2.HTTPError) as refused:
        answering(b"200 X", b"x" * 1_001)
    told = error_mapping.explain(refused.value, "http://h", sent=False)
    assert isinstance(told, ReplyTooLarge) and "/v1/models replied" in str(told)
    assert "x=1" not in str(told)


def test_several_queries_over_one_connection_have_a_deadline_each() -> None:
    def behave(sock: socket.socket) -> None:
        for number in range(3):
            read_request(sock)
            body = json.dumps(number).encode()
            sock.sendall(b"HTTP/1.1 200 X\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    with server(behave) as url, connection.short_client(None, url) as client:
        seen = []
        for _ in range(3):
            seen.append((client.get(url).json(), client._wire.until))
    assert [number for number, _ in seen] == [0, 1, 2]
    assert seen[0][1] < seen[1][1] < seen[2][1]
