"""Starting a detached process while the program's own files are away or of another layout."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.errors import DetachFailed
from jobs.processes import detach
from jobs.system import logout


def test_files_that_are_being_replaced_are_a_reason_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pip install -U` removes a module before it writes the next one: who starts a runner just
    then gets the error that it handles, not an ImportError."""
    monkeypatch.delattr("jobs.system.logout")
    monkeypatch.setitem(sys.modules, "jobs.system.logout", None)
    with pytest.raises(DetachFailed, match=r"program files in .* are missing or incomplete"):
        detach.spawn(["true"], log=tmp_path / "log", cwd=tmp_path)


def test_a_runner_has_loaded_what_the_next_one_needs() -> None:
    """It may have to start it after its files were replaced."""
    code = "import sys; import jobs.runner.loop; sys.exit('jobs.system.logout' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_earlier_layouts_find_the_names_that_they_import_late() -> None:
    """A runner, a worker or a waiting command that started before an upgrade."""
    assert importlib.import_module("jobs.logout").way_out is logout.way_out
    assert importlib.util.find_spec("jobs.detach") is not None
    assert importlib.util.find_spec("jobs.runner.__main__") is not None
