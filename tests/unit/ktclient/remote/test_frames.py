"""What two ktjobs say to each other is understood whole or not at all."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktclient.remote import frames
from ktclient.remote.frames import Cut, Foreign

pytestmark = pytest.mark.each_python


class Dribbling(io.RawIOBase):
    """A stream that gives so many bytes at a time, as links do."""

    def __init__(self, body: bytes, size: int) -> None:
        self._body, self._size = io.BytesIO(body), size

    def read(self, size: int = -1) -> bytes:
        return self._body.read(min(size, self._size) if size >= 0 else self._size)


@given(st.binary(max_size=300_000), st.integers(min_value=1, max_value=70_000))
def test_a_file_comes_as_it_was_sent(body: bytes, size: int) -> None:
    """In pieces of any size."""
    wire, got = io.BytesIO(), io.BytesIO()
    frames.send_file(wire, io.BytesIO(body))
    frames.receive_file(Dribbling(wire.getvalue(), size), got)  # type: ignore[arg-type]
    assert got.getvalue() == body


@given(st.binary(min_size=1, max_size=2_000), st.data())
def test_a_file_that_is_cut_anywhere_is_refused(body: bytes, data: st.DataObject) -> None:
    """Also where the cut leaves whole frames."""
    wire = io.BytesIO()
    frames.send_file(wire, io.BytesIO(body))
    whole = wire.getvalue()
    at = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    with pytest.raises(Cut):
        frames.receive_file(io.BytesIO(whole[:at]), io.BytesIO())


@given(st.binary(min_size=1, max_size=500), st.data())
def test_a_file_with_another_byte_is_refused(body: bytes, data: st.DataObject) -> None:
    """By its sha256."""
    wire = io.BytesIO()
    frames.send_file(wire, io.BytesIO(body))
    whole = bytearray(wire.getvalue())
    at = data.draw(st.integers(min_value=5, max_value=4 + len(body)))
    whole[at] ^= 1
    with pytest.raises(Cut):
        frames.receive_file(io.BytesIO(bytes(whole)), io.BytesIO())


def test_what_a_login_shell_prints_is_passed_over() -> None:
    """`echo` in .bashrc; and a stream of noise has an end."""
    wire = io.BytesIO(b"Welcome to gpu1\n" + frames.MAGIC + b"rest")
    frames.skip_noise(wire)
    assert wire.read() == b"rest"
    with pytest.raises(Cut):
        frames.skip_noise(io.BytesIO(b"x" * 100_000))


def test_a_frame_beyond_all_measure_is_refused() -> None:
    """Its length is not believed; a record is short."""
    for head in (b"O\xff\xff\xff\xff", b"X\x00\x00\x20\x01", b"V\x00\x01\x00\x00"):
        with pytest.raises(Foreign):
            frames.read(io.BytesIO(head + b"x" * 100_000))


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"1", b"[[[[]]]]", b'{"a": [[[]]]}', b'{"a": 1, "a": 2}'),
        *(b'{"a": ' + b"9" * 5000 + b"}", b'{"a": 1e999}', b'{"a": NaN}', b"\xff", b'"' * 3),
    ],
)
def test_a_record_that_is_none_is_refused(body: bytes) -> None:
    """In words that can be shown."""
    with pytest.raises(Foreign) as refused:
        frames.record(body)
    assert str(refused.value).isprintable() and "recursion" not in str(refused.value)


def test_a_file_that_another_machine_gets_has_records_of_any_size() -> None:
    """The names of a thousand files."""
    wire = io.BytesIO()
    names: list[object] = ["x" * 200] * 1000
    frames.write_record(wire, frames.REQUEST, {"files": names})
    wire.seek(0)
    assert frames.record(frames.read(wire)[1]) == {"files": names}
