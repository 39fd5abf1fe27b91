"""The deltas of a stream, from pieces as the store has them."""

from __future__ import annotations

import json

import pytest

from jobs.model import Piece
from ktclient.gateway.chat.chunks import Differs, Transcript


def deltas(
    transcript: Transcript, attempt: int, *pieces: tuple[str, str]
) -> list[dict[str, object]]:
    first = transcript.after + 1 if attempt == transcript.attempt else 1
    told = [Piece(first + n, channel, text) for n, (channel, text) in enumerate(pieces)]
    return list(transcript.take(attempt, told))


def test_thoughts_and_words_have_their_fields() -> None:
    transcript = Transcript()
    assert deltas(transcript, 1, ("reasoning", "Hm"), ("answer", "Yes")) == [
        {"reasoning_content": "Hm"},
        {"content": "Yes"},
    ]
    assert transcript.after == 2
    assert deltas(transcript, 1, ("answer", ", sir")) == [{"content": ", sir"}]


def test_a_second_attempt_is_silent_while_it_says_the_same() -> None:
    """However its output is cut into pieces."""
    transcript = Transcript()
    deltas(transcript, 1, ("reasoning", "Hm"), ("answer", "One two"))
    assert deltas(transcript, 2, ("reasoning", "Hm"), ("answer", "One")) == []
    assert not transcript.is_whole()
    assert deltas(transcript, 2, ("answer", " two three")) == [{"content": " three"}]
    assert transcript.is_whole()


@pytest.mark.parametrize("pieces", [[("answer", "Two")], [("answer", "One"), ("answer", " too")]])
def test_a_second_attempt_that_says_something_else_differs(pieces: list[tuple[str, str]]) -> None:
    transcript = Transcript()
    deltas(transcript, 1, ("answer", "One two"))
    with pytest.raises(Differs):
        deltas(transcript, 2, *pieces)


def test_calls_have_indexes_of_their_own_and_say_id_and_name_once() -> None:
    """From servers that give every call the index 0, repeat names, or send objects."""
    pieces: list[list[dict[str, object]]] = [
        [{"index": 0, "id": "a", "function": {"name": "add", "arguments": '{"x": '}}],
        [{"index": 0, "function": {"arguments": "1}"}}],
        [{"index": 0, "id": "b", "function": {"name": "say", "arguments": {"y": 2}}}],
    ]
    text = "".join(json.dumps(one) + "\n" for one in pieces)
    found = [one["tool_calls"] for one in deltas(Transcript(), 1, ("tool_calls", text))]
    assert found == [
        [
            {
                "index": 0,
                "id": "a",
                "type": "function",
                "function": {"name": "add", "arguments": '{"x": '},
            }
        ],
        [{"index": 0, "function": {"arguments": "1}"}}],
        [
            {
                "index": 1,
                "id": "b",
                "type": "function",
                "function": {"name": "say", "arguments": '{"y": 2}'},
            }
        ],
    ]


def test_a_call_of_old_is_a_function_call() -> None:
    pieces = [[{"function_call": {"name": "add"}}], [{"function_call": {"arguments": "{}"}}]]
    text = "".join(json.dumps(one) + "\n" for one in pieces)
    assert deltas(Transcript(), 1, ("tool_calls", text)) == [
        {"function_call": {"name": "add", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
    ]
