"""Short queries to a server of ours: a whole answer of sane size in time, or none."""

from __future__ import annotations

import contextlib
import itertools
import socket

import pytest
from support.one_connection import read_request, replaying, server

from server_bundle.launch import http_probe
from server_bundle.launch.http_probe import Answer


def test_an_answer_of_any_status_is_one() -> None:
    for status in (200, 503):
        with server(replaying(status, "application/json", b'{"a": 1}')) as url:
            answer = http_probe.get(url)
        assert answer == Answer(status, b'{"a": 1}') and answer.json() == {"a": 1}


@pytest.mark.parametrize("status", [200, 503])
def test_an_answer_without_end_is_none(status: int) -> None:
    def behave(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 %d X\r\n\r\n" % status)
        while True:
            sock.sendall(b"x" * 65_536)

    with server(behave) as url:
        assert http_probe.get(url) is None


@pytest.mark.parametrize(
    "endless", [b"HTTP/1.1 100 Continue\r\n\r\n", b"H"], ids=["headers", "a status line"]
)
def test_headers_without_end_are_no_answer(endless: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """However quickly they come."""
    monkeypatch.setattr(http_probe, "MORE_SECONDS", 0.1)

    def behave(sock: socket.socket) -> None:
        read_request(sock)
        with contextlib.suppress(OSError):
            for piece in itertools.repeat(endless * 100):
                sock.sendall(piece)

    with server(behave) as url:
        assert http_probe.get(url, seconds=0.2) is None


def test_nested_json_is_none() -> None:
    assert Answer(200, b"[" * 100_000).json() is None
