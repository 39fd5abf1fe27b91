"""The first word of a stream: held until it is known to be one of an answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.errors import KtjobError
from ktclient.errors import AbortedByServer, StreamCut
from ktclient.request.events import Completed, Quiet, Sent, Text
from ktclient.request.filters import collect_answer, drop_refusal_token
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


def test_what_is_overheard_is_the_answer_alone() -> None:
    """No thoughts; all events go on."""
    answer: list[str] = []
    stream: list[StreamEvent] = [Text("hm", "reasoning"), Text("A"), Quiet(), Text("b"), END]
    assert list(collect_answer(events(*stream), answer)) == stream
    assert answer == ["A", "b"]
