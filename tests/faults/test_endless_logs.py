"""What is given to `ktserver explain` as a log may have no end, or no line end: its end is read, in
bounded memory, and what was left out is said."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.patience import HANG_SECONDS

TRACEBACK = b"Traceback (most recent call last):\nRuntimeError: this has never happened before\n"


def explained(name: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    """With 200 MB of address space for all."""
    program = "from ktclient.cli.ktserver import main; main()"
    limited = f'ulimit -v 200000; exec {sys.executable} -c "{program}" explain "$1"'
    return subprocess.run(
        ["sh", "-c", limited, "sh", name],
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )


def test_the_end_of_ten_gigabytes_is_read(tmp_path: Path) -> None:
    """One line of NULs, and then what happened."""
    log = tmp_path / "server.log"
    with log.open("wb") as file:
        file.truncate(10_000_000_000)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + TRACEBACK)
    done = explained(str(log))
    assert done.returncode == 1 and "this has never happened before" in done.stdout, done.stderr
    assert "only the last" in done.stderr and "line numbers count from there" in done.stderr


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_pipe_without_line_ends_is_read(tmp_path: Path, end: bytes) -> None:
    """100 MB on one line, from standard input and from a named pipe."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading, writing = os.pipe()

    def write(path: int | Path) -> None:
        with open(path, "wb") as file:  # noqa: PTH123 - a descriptor or a path
            for _ in range(100):
                file.write(b"x" * 1_000_000)
            file.write(end + TRACEBACK)

    for name, target in (("-", writing), (str(pipe), pipe)):
        writer = threading.Thread(target=write, args=(target,), daemon=True)
        writer.start()
        done = explained(name, reading)
        writer.join()
        assert done.returncode in (0, 1) and "only the last" in done.stderr, done.stderr
        assert ("this has never happened before" in done.stdout) or not end
    os.close(reading)


def test_a_device_without_end_is_left() -> None:
    """After a few gigabytes, of which nothing is kept."""
    done = explained("/dev/zero")
    assert "MB of the first 4 GB" in done.stderr and "Traceback" not in done.stderr


def test_without_standard_input_a_file_is_asked_for() -> None:
    """Also no traceback."""
    program = "from ktclient.cli.ktserver import main; main()"
    command = f"exec {sys.executable} -c '{program}' explain - <&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "standard input is closed; name a file" in done.stderr
