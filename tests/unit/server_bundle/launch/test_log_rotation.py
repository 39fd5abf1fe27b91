"""A log that is cut while it is written, and read on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from server_bundle.launch import log_rotation

Until = Callable[..., object]
WRITER = """
import os, sys, time
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for number in range(int(sys.argv[2])):
    os.write(log, f"line {number:09}\\n".encode())
    time.sleep(0.0002)
"""
LINES = 6000


def test_every_line_is_read_once_through_rotations_under_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cut may cost the lines of that moment, and never half a line. It lasts as long as the
    kernel lets others run between copy and cut: 14 lines in 8 cuts were seen, at full speed."""
    monkeypatch.setattr(log_rotation, "LIMIT_BYTES", 10_000)
    log, last = tmp_path / "log", tmp_path / "log.1"
    reader, seen, cuts = log_rotation.LogReader(log, last), list[str](), 0
    with subprocess.Popen([sys.executable, "-c", WRITER, str(log), str(LINES)]) as writer:
        while writer.poll() is None:
            seen += reader.lines()
            before = last.stat().st_ino if last.exists() else 0
            seen += reader.rotate_if_long()
            cuts += last.exists() and last.stat().st_ino != before
        seen += reader.lines()
    numbers = [int(line.removeprefix("line ")) for line in seen]
    assert numbers == sorted(set(numbers))
    assert LINES - 20 * cuts <= len(numbers) <= LINES
    assert cuts > 3
    assert log.stat().st_size < 100_000


def test_nothing_is_lost_when_nobody_writes(tmp_path: Path) -> None:
    """The old content is in the other file, the owner's only, and the log is empty."""
    log, last = tmp_path / "log", tmp_path / "log.1"
    log.write_text("one\ntwo\n")
    log_rotation.rotate(log, last)
    assert (log.read_text(), last.read_text()) == ("", "one\ntwo\n")
    assert last.stat().st_mode & 0o777 == 0o600
    assert sorted(tmp_path.iterdir()) == [log, last]


def test_a_log_that_cannot_be_copied_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the copy is not there: as good as a full disk."""
    monkeypatch.setattr(log_rotation, "LIMIT_BYTES", 1)
    log = tmp_path / "log"
    log.write_text("one\n")
    reader = log_rotation.LogReader(log, tmp_path / "missing" / "log.1")
    assert reader.lines() == ["one"]
    assert reader.rotate_if_long() == []
    assert log.read_text() == "one\n"


def test_half_a_line_waits_for_its_rest(tmp_path: Path) -> None:
    """And a bar that comes back to its start makes lines."""
    log = tmp_path / "log"
    reader = log_rotation.LogReader(log, tmp_path / "log.1")
    assert reader.lines() == []
    log.write_bytes(b"one\ntw")
    assert reader.lines() == ["one"]
    with log.open("ab") as file:
        file.write("o\r 50%\r100%\n红".encode()[:-1])
    assert reader.lines() == ["two", " 50%", "100%"]
    with log.open("ab") as file:
        file.write("红".encode()[-1:] + b"\n")
    assert reader.lines() == ["红"]


def test_a_log_that_somebody_else_cut_is_read_from_its_start(tmp_path: Path) -> None:
    """`> server.log` in a shell."""
    log = tmp_path / "log"
    reader = log_rotation.LogReader(log, tmp_path / "log.1")
    log.write_text("a long line of before\n")
    assert reader.lines() == ["a long line of before"]
    log.write_text("new\n")
    assert reader.lines() == ["new"]
