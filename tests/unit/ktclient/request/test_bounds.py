"""What is much and what is too much, without a server and without a clock."""

from __future__ import annotations

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktclient.errors import AnswerTooLong, StreamTooLarge
from ktclient.request import bounds
from ktclient.request.bounds import AnswerBounds, StreamBounds
from ktclient.request.events import Text

URL = "http://h:1"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def events(of: bytes) -> int:
    """The bytes that a stream may hold back, as an independent parser counts them: those of the
    longest event, without line ends."""
    lines = of.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    longest = size = 0
    for line in lines:
        size = size + len(line) if line else 0
        longest = max(longest, size)
    return longest


@given(st.lists(st.sampled_from([b"data: x", b":", b"\r", b"\n", b"\r\n", b"y"]), max_size=60))
def test_an_event_is_measured_however_it_is_cut(pieces: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bounds, "EVENT_BYTES", 20)
        stream, is_refused = StreamBounds(URL, 8), False
        try:
            for piece in pieces:
                stream.take(piece)
        except StreamTooLarge:
            is_refused = True
        assert is_refused == (events(b"".join(pieces)) > 20)


@given(st.integers(1, 400), st.integers(0, 3))
def test_of_a_refused_piece_the_lines_before_are_good(size: int, before: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bounds, "EVENT_BYTES", 100)
        stream, head = StreamBounds(URL, 8), b"data: a\n\n" * before
        piece = head + b"x" * size
        if size <= 100:
            stream.take(piece)
            assert stream.good == len(piece)
        else:
            with pytest.raises(StreamTooLarge, match="without the end of an event"):
                stream.take(piece)
            assert piece[: stream.good] == head


def test_keepalive_comments_may_come_for_a_day() -> None:
    """One a second: a prefill of 25 minutes has 1,500."""
    clock = Clock()
    stream = StreamBounds(URL, 8, clock)
    for second in range(86_400):
        clock.now = float(second)
        stream.take(b": keepalive\n\n")


def test_many_comments_at_once_are_too_many() -> None:
    stream = StreamBounds(URL, 8, Clock())
    with pytest.raises(StreamTooLarge, match="lines"):
        for _ in range(bounds.STREAM_LINES):
            stream.take(b": keepalive\n\n")


@pytest.mark.parametrize("max_tokens", [1, 1_000, 20_000])
def test_a_whole_answer_is_within_all_bounds(max_tokens: int) -> None:
    """All its tokens, each in an event of its own with much around it, and each of twenty bytes;
    the fastest server there is."""
    stream, answer = StreamBounds(URL, max_tokens, Clock()), AnswerBounds(URL, max_tokens)
    event = b"id: 1\r\nevent: message\r\ndata: " + b"x" * 1_000 + b"\r\n\r\n"
    for _ in range(max_tokens + 10):
        stream.take(event)
        answer.take(Text("\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 7, "reasoning"))


def test_a_whole_answer_may_come_in_one_event() -> None:
    """Of 128K tokens, as gateways send it that do not stream."""
    StreamBounds(URL, 128_000).take(b"data: " + b"\\u4e2d" * 256_000 + b"\n\n")


def test_text_is_bounded_in_all_channels_together() -> None:
    answer = AnswerBounds(URL, 10)
    half = "x" * (bounds.ANSWER_BYTES // 2)
    answer.take(Text(half, "reasoning"))
    answer.take(Text(half, "answer"))
    with pytest.raises(AnswerTooLong, match="10 tokens"):
        answer.take(Text("x" * 10 * bounds.ANSWER_BYTES_A_TOKEN, "tool_calls"))


def test_whatever_max_tokens_says_there_is_an_end() -> None:
    answer = AnswerBounds(URL, 10**12)
    answer.take(Text("x" * (bounds.ANSWER_MOST_BYTES - bounds.CHANNEL_BYTES)))
    with pytest.raises(AnswerTooLong):
        answer.take(Text("x"))


@pytest.mark.parametrize("sent", [0, 1_000_000])
def test_a_reply_may_be_longer_for_a_longer_query(sent: int) -> None:
    most = bounds.REPLY_BYTES + bounds.REPLY_PER_SENT * sent
    assert bounds.read_reply(URL, [b"x" * most], sent) == b"x" * most
    with pytest.raises(bounds.TooLarge, match="short query"):
        bounds.read_reply(URL, [b"x" * most, b"x"], sent)


def test_a_reply_is_given_up_where_it_becomes_too_large() -> None:
    """The rest of an endless one is not asked for."""
    taken = []

    def endless() -> bytes:
        taken.append(None)
        return b"x" * (1 << 20)

    with pytest.raises(bounds.TooLarge):
        bounds.read_reply(URL, iter(endless, b""), 0)
    assert len(taken) == (bounds.REPLY_BYTES >> 20) + 1


def test_a_million_tokens_can_be_counted() -> None:
    """/tokenize of 4 MB of text, in its longest form."""
    reply = b'{"tokens": [' + b"151643," * 1_000_000 + b"1]}"
    assert bounds.read_reply(URL, [reply], 4_000_000) == reply


@pytest.mark.parametrize(("patience", "total"), [(1.0, 3.0), (10.0, 30.0), (600.0, 660.0)])
def test_the_rest_of_a_reply_may_take_longer_but_not_long(patience: float, total: float) -> None:
    assert bounds.reply_seconds(patience) == total


def test_of_an_error_that_breaks_what_came_is_kept() -> None:
    def pieces() -> object:
        yield b"Refused"
        raise httpx2.ReadError("broken")

    found = bounds.beginning(pieces(), float("inf"))  # type: ignore[arg-type]
    assert b"".join(found) == b"Refused"


def test_of_an_error_no_more_than_the_beginning_is_read() -> None:
    found = bounds.beginning(iter(lambda: b"x" * 60_000, b""), float("inf"))
    assert len(b"".join(found)) == bounds.ERROR_BYTES
