"""Whose files a process of ktjob finds first, and how its programs are started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import program

pytestmark = pytest.mark.each_python

ROOT = str(Path(__file__).parents[3])
WHERE = "import json, sys; from jobs import program; program.put_ours_first(); print(sys.path)"


def path_of(*options: str, cwd: Path, **environ: str) -> list[str]:
    """sys.path of a fresh interpreter once ours is first."""
    code = f"import sys; sys.path.insert(1, {ROOT!r}); {WHERE}"
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[str] = eval(done.stdout)
    return found


def test_the_standard_library_comes_first_then_ours_and_pythonpath_last(tmp_path: Path) -> None:
    """The current folder is dropped."""
    mine = tmp_path / "mine"
    found = path_of(cwd=tmp_path, PYTHONPATH=str(mine))
    assert found[-1] == str(mine)
    assert "" not in found and str(tmp_path) not in found
    library = os.path.dirname(os.__file__)
    at = found.index(ROOT)
    assert library in found[:at]
    assert all(entry.startswith(sys.base_prefix) for entry in found[:at])
    assert all("site-packages" not in entry for entry in found[:at])


def test_what_is_isolated_keeps_its_first_entry(tmp_path: Path) -> None:
    """It is none of the current folder's."""
    found = path_of("-I", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert str(tmp_path) not in found
    assert found.count(ROOT) == 1


def test_it_can_be_done_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time changes nothing."""
    monkeypatch.setattr(sys, "path", ["/hook", "", "/y", *sys.path])
    program.put_ours_first()
    once = list(sys.path)
    program.put_ours_first()
    assert sys.path == once and "" not in once
    assert once.index("/y") == once.index("/hook") + 1 > once.index(ROOT)


def test_a_program_that_cannot_be_imported_says_so_in_one_line(tmp_path: Path) -> None:
    """For the log of the process that was to start."""
    done = subprocess.run(program.command("jobs.no_such"), capture_output=True, text=True)
    assert done.returncode == 1
    assert "jobs.no_such could not start: ktjob's program files in" in done.stderr
    assert "No module named 'jobs.no_such'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_program_is_started_by_its_path_or_by_name_where_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The version of Python is in the path; a newer one in its place has another."""
    assert program.command("jobs.detach") == [sys.executable, program.__file__, "jobs.detach"]
    assert program.missing() is None
    monkeypatch.setattr(program, "__file__", "/gone/program.py")
    assert program.missing() == "/gone/program.py"
    assert program.command("jobs.detach")[-3:] == ["-m", "jobs.program", "jobs.detach"]
    monkeypatch.setattr(sys, "executable", "/gone/python")
    assert program.missing() == "/gone/python"
