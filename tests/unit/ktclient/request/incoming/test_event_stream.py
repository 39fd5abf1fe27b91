"""Lines and fields of an event stream, wherever its pieces are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktclient.request.incoming import event_stream
from ktclient.request.incoming.event_stream import Lines

PARTS = st.sampled_from(
    [b"data: x", b"y", b"\r", b"\n", b"\r\n", b"\xef\xbb\xbf", b"\xc3", b"\xa9"]
)


def lines_of(pieces: list[bytes]) -> list[bytes]:
    lines = Lines()
    return [*(line for piece in pieces for line in lines.feed(piece)), lines.rest()]


@given(st.lists(PARTS, max_size=30), st.data())
def test_lines_are_the_same_however_they_are_cut(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    expected = whole.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert lines_of(pieces) == expected.split(b"\n")


def test_a_line_is_known_at_its_return() -> None:
    """The line feed after it may come in half an hour."""
    lines = Lines()
    assert list(lines.feed(b"a\r")) == [b"a"]
    assert list(lines.feed(b"")) == []
    assert list(lines.feed(b"\nb\n")) == [b"b"]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"data: x", (b"data", b"x")),
        (b"data:x", (b"data", b"x")),
        (b"data:  x", (b"data", b" x")),
        (b"data", (b"data", b"")),
        (b"event:a:b", (b"event", b"a:b")),
        (b'{"data": 1}', None),
        (b"Data: x", None),
        (b" data: x", None),
        (b"", None),
    ],
)
def test_fields_are_those_of_the_standard(line: bytes, field: object) -> None:
    assert event_stream.field_of(line) == field
