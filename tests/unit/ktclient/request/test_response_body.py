"""The body of a long request's response on its way to the event parser."""

from __future__ import annotations

import gzip
import json
import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.one_connection import failure_of, read_request, server

from ktclient.errors import ErrorInStream
from ktclient.request import response_body, stream
from ktclient.request.stream import Completed, LongRequest, Text

CHOICE = {"index": 0, "delta": {"content": "Whole."}, "finish_reason": "stop"}
ANSWER = b"data: %s\n\ndata: [DONE]\n\n" % json.dumps({"choices": [CHOICE]}).encode()
ENCODINGS = {
    "gzip": gzip.compress(ANSWER),
    "gzip, gzip": gzip.compress(gzip.compress(ANSWER)),
    "identity": ANSWER,
}


@given(st.lists(st.sampled_from(["error: ", "data: ", "\n", "e", "err", "x\n"])), st.data())
def test_error_lines_are_heard_wherever_they_are_cut(parts: list[str], data: st.DataObject) -> None:
    """Each piece of a stream may end anywhere; nothing else is changed, and no line is held back
    but one that may be such."""
    told = "".join(parts).encode()
    wanted = re.sub(rb"^error: ", b"data: ", told, flags=re.MULTILINE)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(told)))))
    pieces = [told[a:b] for a, b in zip([0, *cuts], [*cuts, len(told)], strict=True)]
    assert b"".join(response_body.ErrorLines(pieces)) == wanted
    heard = iter(response_body.ErrorLines([b"data: 1\n\n", b"more"]))
    assert next(heard) == b"data: 1\n\n"


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
