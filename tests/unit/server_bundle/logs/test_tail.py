"""The end of a log, whatever is given as a log."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from server_bundle.logs import tail
from server_bundle.logs.stages import LONGEST_LINE
from server_bundle.logs.tail import Tail

pytestmark = pytest.mark.each_python


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds of a few bytes."""
    for name, value in (("MOST_BYTES", 20), ("READ_BYTES", 100), ("_BLOCK", 16), ("MOST_LINES", 4)):
        monkeypatch.setattr(tail, name, value)


def of(folder: Path, content: bytes) -> Tail:
    (folder / "log").write_bytes(content)
    with (folder / "log").open("rb") as file:
        return tail.of(file)


def of_pipe(content: bytes) -> Tail:
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        return tail.of(file)


@pytest.mark.parametrize("content", [b"", b"a", b"a\nb", b"a\nb\n", b"\n\n", b"\xff\0\x1b[1m\r\n"])
def test_a_short_log_is_whole(tmp_path: Path, content: bytes) -> None:
    """In a file and in a pipe; its lines are those of Python."""
    for end in (of(tmp_path, content), of_pipe(content)):
        assert (end.is_whole, end.has_end, end.lines_before) == (True, True, 0)
        text = io.StringIO(content.decode(errors="replace"), newline="\n")
        assert list(end.lines()) == [line.removesuffix("\n") for line in text]


def test_of_a_long_log_the_end_is_used(tmp_path: Path, small: None) -> None:
    """Whole lines of it, with their numbers in all of it."""
    content = b"".join(b"line %d\n" % number for number in range(1, 14))
    assert len(content) < 100
    for end in (of(tmp_path, content), of_pipe(content)):
        lines = list(end.lines())
        assert lines[-1] == "line 13" and end.has_end and not end.is_whole
        assert end.lines_before == 13 - len(lines) and len(lines) >= 2
        assert all(line.startswith("line ") for line in lines)


def test_of_a_log_beyond_what_is_read_the_end_is_found_at_once(tmp_path: Path, small: None) -> None:
    """In a file; its lines are not counted. A pipe has no end, as far as it was read."""
    content = b"".join(b"line %d\n" % number for number in range(100, 200))
    end = of(tmp_path, content)
    assert list(end.lines())[-1] == "line 199" and end.has_end and end.lines_before is None
    end = of_pipe(content)
    assert not end.has_end and not end.is_whole
    assert next(end.lines()).startswith("line 1") and end.lines_before


def test_no_more_lines_are_used_than_the_bound(tmp_path: Path, small: None) -> None:
    """Each update of a progress bar counts."""
    for sign in (b"\n", b"\r"):
        end = of(tmp_path, b"begin\n" + sign * 14)
        assert not end.is_whole and end.content.count(sign) <= 2 * 4


def test_of_one_line_without_end_the_end_is_used(tmp_path: Path, small: None) -> None:
    """It may have what proves a cause."""
    end = of(tmp_path, b"x" * 70 + b"Killed")
    assert next(end.lines()).endswith("xKilled") and end.lines_before == 0


def test_of_a_long_line_the_beginning_is_used(tmp_path: Path) -> None:
    """The rest is not even decoded."""
    first, second = of(tmp_path, b"x" * 9 * LONGEST_LINE + b"\nend\n").lines()
    assert LONGEST_LINE <= len(first) <= 4 * LONGEST_LINE and second == "end"
