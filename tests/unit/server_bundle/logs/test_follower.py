"""A log is followed while it grows, is renamed, emptied, damaged, huge, or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server_bundle.logs.follower import BLOCK, MOST_IN_LINE, Follower


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "server.log"


@pytest.fixture
def follower(log: Path) -> Iterator[Follower]:
    one = Follower(log)
    yield one
    one.close()


def add(log: Path, content: bytes) -> None:
    with log.open("ab") as file:
        file.write(content)


def test_only_what_is_new_and_complete(log: Path, follower: Follower) -> None:
    """A line in the making is waited for."""
    assert list(follower.lines()) == []  # no file yet
    add(log, b"one\ntwo\r\nthr")
    assert list(follower.lines()) == ["one", "two"]
    assert list(follower.lines()) == []
    add(log, b"ee\n\n\nfour")
    assert list(follower.lines()) == ["three"]
    add(log, b"\r 10%\r 20%\n")
    assert list(follower.lines()) == ["four", " 10%", " 20%"]


def test_bytes_that_are_no_utf8(log: Path, follower: Follower) -> None:
    add(log, b"\xff\xfeone \xe4\xb8\n\0\0two\n")
    assert list(follower.lines()) == ["\ufffd\ufffdone \ufffd", "\0\0two"]


def test_a_renamed_file_is_read_to_its_end_first(log: Path, follower: Follower) -> None:
    """logrotate with `create`; the writer goes on for a while in the old file."""
    add(log, b"one\nunfinished")
    assert list(follower.lines()) == ["one"]
    old = log.rename(log.with_suffix(".1"))
    add(old, b" business\ntwo\nlast words")
    assert list(follower.lines()) == ["unfinished business", "two"]  # nothing new is there yet
    add(log, b"three\n")
    assert list(follower.lines()) == ["last words", "three"]
    os.replace(log, old)
    add(log, b"four\n")
    assert list(follower.lines()) == ["four"]


def test_an_emptied_file_is_read_from_its_beginning(log: Path, follower: Follower) -> None:
    """`copytruncate`, seen at once, and seen only when it has grown beyond where we were."""
    add(log, b"[01] one\n[01] two\nhalf")
    assert len(list(follower.lines())) == 2
    log.write_bytes(b"[02] new\n")
    assert list(follower.lines()) == ["[02] new"]
    log.write_bytes(b"[03] longer than all before\n[03] " + b"x" * 100 + b"\n")
    assert list(follower.lines()) == ["[03] longer than all before", "[03] " + "x" * 100]


def test_a_writer_that_goes_on_behind_a_hole_loses_nothing(log: Path, follower: Follower) -> None:
    """Emptied under a writer without O_APPEND: its next line stands where it would have stood."""
    with log.open("wb", buffering=0) as writer:
        writer.write(b"one\n" * 20)
        assert len(list(follower.lines())) == 20
        os.truncate(log, 0)
        writer.write(b"two\n")
        assert list(follower.lines()) == ["two"]


def test_the_end_of_a_large_file_is_found_without_reading_it(log: Path) -> None:
    """1 GB of hole; from the middle of a line on, which is left out, or exactly from a line on."""
    with log.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\nthe line before\nlast\n")
    for last, want in ((8, ["last"]), (5, ["last"]), (4, []), (0, [])):
        follower = Follower(log, last=last)
        assert list(follower.lines()) == want
        add(log, b"new\n")
        assert list(follower.lines()) == ["new"]
        follower.close()
        os.truncate(log, log.stat().st_size - 4)


def test_beginning_at_the_end_leaves_out_the_line_in_the_making(log: Path) -> None:
    """`begin` takes the place; what comes afterwards is new."""
    add(log, b"old\nhal")
    follower = Follower(log, last=0)
    assert follower.begin()
    add(log, b"f\nnew\n")
    assert list(follower.lines()) == ["new"]
    follower.close()


def test_a_line_of_megabytes_is_left_out(log: Path, follower: Follower) -> None:
    """And is not kept in memory meanwhile."""
    add(log, b"one\n" + b"x" * (MOST_IN_LINE + BLOCK))
    assert list(follower.lines()) == ["one"]
    assert len(follower._rest) <= MOST_IN_LINE
    add(log, b"x" * BLOCK + b"\ntwo\n")
    assert list(follower.lines()) == ["two"]


def test_a_file_that_may_not_be_read_raises(tmp_path: Path) -> None:
    """For root there is none; a folder is refused to all."""
    with pytest.raises(OSError, match="directory"):
        list(Follower(tmp_path).lines())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\r", b"")), max_size=8),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_however_it_is_written_the_lines_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], cuts: list[int]
) -> None:
    """Cut anywhere between two looks, also within a character."""
    log = tmp_path_factory.mktemp("grows") / "log"
    content = b"\n".join(parts) + b"\n"
    want = [part.decode("utf-8", "replace") for part in content.split(b"\n") if part]
    follower, start, found = Follower(log), 0, []
    for end in [*sorted(cuts), len(content)]:
        add(log, content[start:end])
        start = max(start, end)
        found += list(follower.lines())
    follower.close()
    assert found == want
