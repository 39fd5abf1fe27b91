"""The body of a long request's response on its way to the event parser."""

from __future__ import annotations

import gzip
import json
import socket

import pytest
from support.one_connection import failure_of, read_request, server

from ktclient.errors import EmptyAnswer, ErrorInStream, ProtocolError, ServerBroke, WebPage
from ktclient.request import stream
from ktclient.request.stream import Came, Completed, LongRequest, Text

CHOICE = {"index": 0, "delta": {"content": "Whole."}, "finish_reason": "stop"}
ANSWER = b"data: %s\n\ndata: [DONE]\n\n" % json.dumps({"choices": [CHOICE]}).encode()
ENCODINGS = {
    "gzip": gzip.compress(ANSWER),
    "gzip, gzip": gzip.compress(gzip.compress(ANSWER)),
    "identity": ANSWER,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_compressed_stream_is_an_answer(encoding: str) -> None:
    """Some proxies compress whatever they are asked for."""

    def behave(sock: socket.socket) -> None:
        read_request(sock)
        head = f"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-encoding: {encoding}"
        sock.sendall(head.encode() + b"\r\nconnection: close\r\n\r\n" + ENCODINGS[encoding])

    with server(behave) as url:
        events = list(stream.stream(LongRequest(url, "m", "text", 8, "rid"), 60.0))
    assert [event.text for event in events if isinstance(event, Text)] == ["Whole."]
    assert isinstance(events[-1], Completed)


def test_an_old_error_in_a_compressed_stream_is_read() -> None:
    def behave(sock: socket.socket) -> None:
        read_request(sock)
        body = gzip.compress(b'error: {"error": {"code": 500, "message": "broken"}}\n\n')
        head = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip"
        sock.sendall(head + b"\r\nconnection: close\r\n\r\n" + body)

    with server(behave) as url:
        failure = failure_of(url)
    assert isinstance(failure, ErrorInStream) and "broken" in str(failure)


PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head>"


def test_of_a_page_the_beginning_is_enough() -> None:
    """It never ends; and it is known as one whatever type it is given."""

    def behave(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\n\r\n" + PAGE)
        while True:
            sock.sendall(b"<p>" * 10_000)  # until the other side hangs up

    with server(behave) as url:
        failure = failure_of(url)
    assert isinstance(failure, WebPage) and "Sign in" in str(failure)


def test_words_without_end_are_no_answer() -> None:
    """Of whatever listens there: it is not read for its whole 64 MB."""
    sent = 0

    def behave(sock: socket.socket) -> None:
        nonlocal sent
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 X\r\n\r\n")
        while True:
            sock.sendall(b"220 smtp.example.org ready\r\n" * 1_000)
            sent += 28_000

    with server(behave) as url:
        failure = failure_of(url)
    assert isinstance(failure, ProtocolError) and "220 smtp.example.org" in str(failure)
    assert sent < 50_000_000


@pytest.mark.parametrize("status", [200, 202, 204])
def test_nothing_under_a_status_of_success_is_no_answer(status: int) -> None:
    def behave(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status)

    with server(behave) as url:
        failure = failure_of(url)
    assert type(failure) is ProtocolError and "no answer" in str(failure)


def test_what_came_is_handed_on_before_the_error() -> None:
    """Also what a response of another status said."""
    for status, kind in ((200, EmptyAnswer), (500, ServerBroke)):
        body = b'data: {"choices": [{"finish_reason": "stop"}]}\n\n'

        def behave(sock: socket.socket, status: int = status, body: bytes = body) -> None:
            read_request(sock)
            sock.sendall(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(body)))
            sock.sendall(body)

        events: list[stream.StreamEvent] = []
        with server(behave) as url, pytest.raises(kind):
            for event in stream.stream(LongRequest(url, "m", "text", 8, "rid"), 60.0):
                events.append(event)
        assert events[-1] == Came(len(body), body.decode())
