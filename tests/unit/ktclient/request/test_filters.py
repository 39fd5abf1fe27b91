"""The first word of a stream: held until it is known to be one of an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from jobs.errors import KtjobError
from ktclient.errors import AbortedByServer, StreamCut
from ktclient.request.events import Completed, Quiet, Sent, Text
from ktclient.request.filters import drop_refusal_token, hide_key
from ktclient.request.stream import StreamEvent

END = Completed("stop", 5, 1, None)


def events(*given: StreamEvent | KtjobError) -> Iterator[StreamEvent]:
    for one in given:
        if isinstance(one, KtjobError):
            raise one
        yield one


def refusal(*, was_read: bool) -> AbortedByServer:
    error = AbortedByServer("refused")
    error.was_read = was_read
    return error


def collected(*given: StreamEvent | KtjobError) -> list[StreamEvent]:
    got: list[StreamEvent] = []
    with pytest.raises(KtjobError):
        for event in drop_refusal_token(events(*given)):
            got.append(event)
    return got


def test_the_word_of_a_refusal_is_no_answer() -> None:
    """An abort without a prompt that was read; of one that was read the word counts."""
    assert collected(Sent(), Text("!"), refusal(was_read=False)) == [Sent()]
    assert collected(Sent(), Text("A"), refusal(was_read=True)) == [Sent(), Text("A")]
    assert collected(Text("A"), StreamCut("cut")) == [Text("A")]
    two = (Text("A"), Text("b"), refusal(was_read=False))
    assert collected(*two) == [Text("A"), Text("b")]


def test_nothing_of_an_answer_is_lost_or_out_of_order() -> None:
    """One word, or many, with pauses."""
    for stream in (
        [Sent(), Text("A"), END],
        [Text("A", "reasoning"), Text("b"), Text("c"), END],
        [Text("A"), *[Quiet()] * 20, Text("b"), END],
    ):
        words = [one for one in drop_refusal_token(events(*stream)) if not isinstance(one, Quiet)]
        assert words == [one for one in stream if not isinstance(one, Quiet)]


def test_a_word_is_not_held_for_long() -> None:
    """A second of nothing, and it is shown: the next may take minutes beside another prefill."""
    stream = drop_refusal_token(events(Text("A"), *[Quiet()] * 8))
    assert list(stream).index(Text("A")) == 5


KEY = "key-of-the-test"


def hidden(*given: StreamEvent | KtjobError, key: str | None = KEY) -> dict[str, str]:
    """The text of each channel at the end."""
    texts: dict[str, str] = {}
    try:
        for event in hide_key(events(*given), key):
            if isinstance(event, Text):
                texts[event.channel] = texts.get(event.channel, "") + event.text
    except StreamCut:
        pass
    return texts


def test_the_servers_key_is_hidden_across_pieces_and_channels() -> None:
    """Cut into characters, in two channels at the same time."""
    pieces = [piece for one in f"a {KEY} b" for piece in (Text(one), Text(one, "reasoning"))]
    assert hidden(*pieces, END) == {"answer": "a *** b", "reasoning": "a *** b"}


@pytest.mark.parametrize("end", [END, StreamCut("cut")])
def test_the_beginning_of_a_key_at_the_end_is_text(end: StreamEvent | KtjobError) -> None:
    """It is written at the end, also after an error; most of a key is not."""
    assert hidden(Text("see ke"), Text("y"), end) == {"answer": "see key"}
    assert hidden(Text("see key-of-the-t"), end) == {"answer": "see ***"}


def test_a_key_in_the_arguments_of_calls_is_hidden() -> None:
    """Each call's arguments are one text in many pieces, among those of other calls."""

    def call(index: int, text: str) -> Text:
        piece = {"index": index, "function": {"arguments": text}}
        return Text(json.dumps([piece]) + "\n", "tool_calls")

    pieces = [
        call(0, '{"a": "key-of'),
        call(1, '{"b": "key'),
        call(0, '-the-test"}'),
        call(1, '"}'),
    ]
    lines = hidden(*pieces, call(2, "key"), END)["tool_calls"].splitlines()
    said: dict[int, str] = {}
    for one in (piece for line in lines for piece in json.loads(line)):
        said[one["index"]] = said.get(one["index"], "") + one["function"]["arguments"]
    assert said == {0: '{"a": "***"}', 1: '{"b": "key"}', 2: "key"}


def test_without_a_key_nothing_is_touched() -> None:
    """Nor with a placeholder for one."""
    line = Text('[{"index": 0}]\n', "tool_calls")
    for none in (None, "none", "EMPTY"):
        given = [Sent(), Text("none EMPTY"), line, Quiet(), END]
        assert list(hide_key(events(*given), none)) == given


@pytest.mark.parametrize(
    ("kind", "field"),
    [("function_call", "arguments"), ("custom", "input"), ("function", "arguments")],
)
def test_a_key_that_is_cut_is_hidden_in_each_kind_of_call(kind: str, field: str) -> None:
    def call(text: str) -> Text:
        return Text(json.dumps([{kind: {field: text}}]) + "\n", "tool_calls")

    lines = hidden(call("a " + KEY[:9]), call(KEY[9:] + " b"), END)["tool_calls"].splitlines()
    pieces = [one[kind][field] for line in lines for one in json.loads(line)]
    assert "".join(pieces) == "a *** b"
