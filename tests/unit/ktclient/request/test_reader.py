"""Streams that are whole answers, however oddly a server or a gateway puts them."""

from __future__ import annotations

import gzip
import json
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.one_connection import read_request, server

from ktclient.request import stream
from ktclient.request.events import Completed, Prefilled, Text
from ktclient.request.reader import WholeCharacters
from ktclient.request.stream import LongRequest

pytestmark = pytest.mark.each_python

HEAD = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\n"
DONE = b"data: [DONE]\n\n"


def event(body: object) -> bytes:
    return b"data: %s\n\n" % (body if isinstance(body, bytes) else json.dumps(body).encode())


def said(delta: object, reason: object = None) -> bytes:
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def usage(told: object) -> bytes:
    return event({"choices": [], "usage": told})


WHOLE, STOP = said({"content": "Whole."}), said({}, "stop")
HALF = b'{"choices":[{"index":0,"delta":{"content":"%s"}}]}'
STREAMS: dict[str, tuple[bytes, str]] = {
    "comments and \\r\\n": (
        b": ping\r\n\r\nevent: message\r\n" + (WHOLE + STOP + DONE).replace(b"\n", b"\r\n"),
        "Whole.",
    ),
    "no [DONE]": (WHOLE + STOP, "Whole."),
    "text after [DONE]": (WHOLE + STOP + DONE + said({"content": "more"}), "Whole."),
    "text after its end": (STOP + WHOLE + DONE, "Whole."),
    "nothing instead of a delta": (WHOLE + said(None) + STOP + DONE, "Whole."),
    "counts as words": (WHOLE + STOP + usage({"prompt_tokens": "twelve"}) + DONE, "Whole."),
    "text for counts": (WHOLE + STOP + usage("none") + DONE, "Whole."),
    "a list of counts": (WHOLE + STOP + usage({"prompt_tokens_details": [1]}) + DONE, "Whole."),
    "counts beyond counting": (WHOLE + STOP + usage({"prompt_tokens": 10**30}) + DONE, "Whole."),
    "a reason that is a number": (WHOLE + said({}, 5) + DONE, "Whole."),
    "a reason that is half a character": (WHOLE + said({}, "\ud83d") + DONE, "Whole."),
    "a character in two halves": (
        event(HALF % rb"a\ud83d") + event(HALF % rb"\ude00b") + STOP + DONE,
        "a\U0001f600b",
    ),
    "half a character": (event(HALF % rb"a\ud83db") + STOP + DONE, "a\ufffdb"),
    "half a character at the end": (event(HALF % rb"a\ud83d") + STOP + DONE, "a\ufffd"),
    "progress beyond counting": (
        event({"choices": [], "prompt_progress": {"processed": 10**30, "total": -1}})
        + (WHOLE + STOP + DONE),
        "Whole.",
    ),
}


def answer_to(raw: bytes, head: bytes = HEAD) -> list[stream.StreamEvent]:
    """What is told of a stream that a server sends so, and then closes the connection."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head + b"\r\n" + raw)

    with server(behave) as url:
        return list(stream.stream(LongRequest(url, "m", "text", 8, "rid"), 60.0))


def text_of(events: list[stream.StreamEvent], channel: str = "answer") -> str:
    texts = (one for one in events if isinstance(one, Text))
    return "".join(one.text for one in texts if one.channel == channel)


@pytest.mark.parametrize("count", [12, 12.0, "12"])
def test_a_count_may_be_written_in_other_ways(count: object) -> None:
    last = answer_to(WHOLE + STOP + usage({"prompt_tokens": count}) + DONE)[-1]
    assert isinstance(last, Completed) and last.prompt_tokens == 12


@pytest.mark.parametrize("name", STREAMS)
def test_a_whole_answer_is_one(name: str) -> None:
    """Half an hour of prefill is not lost to what matters to nobody."""
    raw, text = STREAMS[name]
    events = answer_to(raw)
    assert text_of(events) == text
    text.encode()  # what no database takes would end the worker
    last = events[-1]
    assert isinstance(last, Completed) and last.finish_reason.isprintable()
    counts = (last.prompt_tokens, last.completion_tokens, last.cached_tokens)
    assert counts == (None, None, None)
    assert not any(isinstance(one, Prefilled) for one in events)


@pytest.mark.parametrize(
    ("head", "raw"),
    [
        (b"content-length: 9999\r\n", WHOLE + STOP),
        (b"transfer-encoding: chunked\r\n", b"%x\r\n" % len(WHOLE + STOP) + WHOLE + STOP + b"\r\n"),
        (b"content-encoding: gzip\r\n", gzip.compress(WHOLE + STOP + DONE)),
        (b"Content-Type: Text/Event-Stream; charset=UTF-8\r\n", WHOLE + STOP + DONE),
    ],
    ids=["length", "chunked", "gzip", "capitals"],
)
def test_the_line_may_break_after_the_reason_to_end(head: bytes, raw: bytes) -> None:
    """Only counts and a mark were still to come: the same prompt is not read once more for them."""
    kind = b"" if b"Type" in head else HEAD.partition(b"\r\n")[2]
    assert text_of(answer_to(raw, b"HTTP/1.1 200 X\r\n" + kind + head)) == "Whole."


def test_a_line_that_stays_open_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts and closing mark never come; while there is no reason to end, it is waited for."""
    monkeypatch.setattr(stream, "AFTER_END_SECONDS", 0.1)

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(HEAD + b"\r\n" + WHOLE)
        time.sleep(0.5)
        connection.sendall(STOP)
        connection.recv(1)  # until the other side hangs up

    with server(behave) as url:
        events = list(stream.stream(LongRequest(url, "m", "text", 8, "rid"), 60.0))
    assert text_of(events) == "Whole." and isinstance(events[-1], Completed)


@pytest.mark.parametrize(
    "names", [("reasoning",), ("reasoning_content",), ("reasoning", "reasoning_content")]
)
def test_thoughts_have_two_names(names: list[str]) -> None:
    """vLLM renamed them; who sends both thinks once."""
    events = answer_to(said(dict.fromkeys(names, "Hm.")) + WHOLE + STOP + DONE)
    assert (text_of(events, "reasoning"), text_of(events)) == ("Hm.", "Whole.")


@given(st.text(), st.data())
def test_whatever_the_cuts_characters_come_whole(text: str, data: st.DataObject) -> None:
    """As UTF-16 in pieces, which is what JSON's escapes are."""
    halves = "".join(
        chr(int.from_bytes(raw, "little"))
        for units in (text.encode("utf-16-le"),)
        for raw in (units[at : at + 2] for at in range(0, len(units), 2))
    )
    characters, joined, rest = WholeCharacters(), "", halves
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        joined, rest = joined + characters.take(rest[:size]), rest[size:]
    assert joined + characters.rest() == text
