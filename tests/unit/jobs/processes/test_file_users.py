"""Which other processes use a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from jobs.processes import file_users

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_SH, 4, 0)
print("locked", flush=True)
sys.stdin.read()
"""


def _holder(path: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None and child.stdout.readline() == "locked\n"
    return child


def test_all_processes_that_hold_a_lock_are_found(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"text")
    children = [_holder(path) for _ in range(3)]
    pids = {child.pid for child in children}
    with path.open("rb"):
        assert file_users.lock_holder(path, 0, 4) in pids
        assert file_users.lock_holders(path) == pids
        for child in children:
            child.communicate()
        assert file_users.lock_holder(path, 0, 4) is None
        assert file_users.lock_holders(path) == set()


def test_open_files_of_a_process_name_those_that_were_removed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"text")
    child = _holder(path)
    assert str(path) in file_users.open_files(child.pid)
    path.unlink()
    assert f"{path} (deleted)" in file_users.open_files(child.pid)
    child.communicate()
