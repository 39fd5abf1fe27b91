"""Files of the user with the name of a module that ktjob needs: in the folder of a script, in the
current folder, in PYTHONPATH, and another distribution. Real installations, real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.made_once import made_once

from acceptance.clone import copy_of_the_tree
from acceptance.installed import Installed, own_wheel
from jobs.processes import identity
from jobs.store.state_dir import StateDir

MINE = 'WHOSE = "mine"\n'
BROKEN = "raise RuntimeError('imported by mistake')\n"
SCRIPT = """
import {first}
import {second}
from ktclient import submit_long
import sys
from pathlib import Path
job = submit_long(Path(sys.argv[1]), summarize=True, server=sys.argv[2])
print(job.wait().result(), {mine}.WHOSE)
"""
IN_VAIN = """
try:
    from ktclient import submit_long
    submit_long("A story.", ask="Why?", server=URL)
except ImportError as error:
    print(error)
"""
LOOK_SECONDS = 0.02
HIDING = ("jobs", "queue", "secrets", "select", "server_bundle", "click", "tempfile")
"""A package of ours, modules of Python, one that ktjob depends on."""


@pytest.fixture(scope="module")
def from_wheel(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    wheel = own_wheel(tmp_path_factory)
    folder = made_once(tmp_path_factory, "from-wheel", lambda root: Installed(root).install(wheel))
    return Installed(folder, is_made=True)


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    def make(folder: Path) -> None:
        folder.mkdir()
        tree = copy_of_the_tree(folder / "tree")
        Installed(folder / "venv").install(tree, "--no-build-isolation", "--editable")

    return Installed(made_once(tmp_path_factory, "editable", make) / "venv", is_made=True)


@dataclass(frozen=True)
class Asking:
    """What a submit of the book needs."""

    server: FakeServer
    state: StateDir
    book: Path

    def answers(self, *command: str | Path, **environ: str) -> None:
        """The script gets its answer, and the value of its own module."""
        done = run(*command, self.book, self.server.url, cwd=self.book.parent, **environ)
        assert done.stdout == "Whole. mine\n", done.stderr


@pytest.fixture
def asking(tmp_path: Path, state: StateDir) -> Iterator[Asking]:
    book = tmp_path / "book.txt"
    book.write_text("A long story. " * 200, encoding="utf-8")
    with fake_sglang(tmp_path, "--answer", "Whole.") as server:
        yield Asking(server, state, book)


def run(*command: str | Path, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def script(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "ask.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_script_uses_its_own_jobs_and_ktclient(
    asking: Asking, from_wheel: Installed, tmp_path: Path
) -> None:
    """A file beside the script, whichever is imported first; a folder without `__init__`; and the
    same by PYTHONPATH, which the runner and its worker inherit."""
    folder = tmp_path / "work"
    ask = script(folder, SCRIPT.format(first="jobs", second="ktclient", mine="jobs"))
    (folder / "jobs.py").write_text(MINE)
    asking.answers(from_wheel.python, ask)

    script(folder, SCRIPT.format(first="ktclient", second="jobs.today", mine="jobs.today"))
    (folder / "jobs.py").unlink()
    (folder / "jobs").mkdir()
    (folder / "jobs" / "today.py").write_text(MINE)
    asking.answers(from_wheel.python, ask)

    library = tmp_path / "library"
    library.mkdir()
    (folder / "jobs").rename(library / "jobs")
    end_of_runner(asking.state)
    asking.answers(from_wheel.python, ask, PYTHONPATH=str(library))
    assert len(asking.server.requests()) == 3


def test_another_distribution_may_be_called_jobs(
    asking: Asking, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It is found instead of the three files that are there for earlier versions, and ours works.
    The names that those have are ours where there is no other `jobs`."""
    changed = Installed(tmp_path / "venv")
    changed.install(own_wheel(tmp_path_factory))
    imported = "import jobs.logout as old, sys; print(old.way_out.__module__)"
    done = run(changed.python, "-c", imported, cwd=tmp_path)
    assert done.stdout == "ktclient._jobs.system.logout\n", done.stderr
    (changed.packages / "jobs" / "__init__.py").write_text(MINE)
    text = SCRIPT.format(first="jobs", second="ktclient", mine="jobs")
    asking.answers(changed.python, script(tmp_path / "work", text))


@pytest.mark.parametrize("kind", ["from_wheel", "editable"])
def test_commands_and_the_processes_they_start_import_nothing_of_the_user(
    kind: str, asking: Asking, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """`ktjob` and `python -m ktclient`, the detached runner and its worker. Such files lie in the
    current folder, in PYTHONPATH, and in the state directory, which is the runner's own folder."""
    installed: Installed = request.getfixturevalue(kind)
    state, work, library = asking.state, tmp_path / "work", tmp_path / "library"
    for folder in (state.root, work, library):
        folder.mkdir(exist_ok=True)
        for name in HIDING:
            (folder / f"{name}.py").write_text(BROKEN)
    environ = {"PYTHONPATH": str(library)}
    submit = ("submit", asking.book, "--summarize", "--wait", "--server", asking.server.url)
    for command in ((installed.ktjob_script,), (installed.python, "-m", "ktclient")):
        done = run(*command, *submit, cwd=work, **environ)
        assert (done.returncode, done.stdout) == (0, "Whole.\n"), done.stderr
        end_of_runner(state)
    done = run(installed.python.with_name("ktserver"), "profiles", cwd=work, **environ)
    assert done.returncode == 0, done.stderr
    assert "imported by mistake" not in state.runner_log.read_text()


@pytest.mark.parametrize(
    ("kind", "name", "what"),
    [
        ("editable", "jobs", "ktjob's own package `jobs`"),
        ("editable", "server_bundle", "ktjob's own package `server_bundle`"),
        ("from_wheel", "server_bundle", "ktjob's own package `server_bundle`"),
        ("from_wheel", "secrets", "Python's own module `secrets`"),
        ("editable", "secrets", "Python's own module `secrets`"),
    ],
)
def test_what_hides_a_module_in_a_script_is_named(
    kind: str, name: str, what: str, asking: Asking, request: pytest.FixtureRequest
) -> None:
    """Where both cannot be had in one process: an ImportError with the file and the fix."""
    installed: Installed = request.getfixturevalue(kind)
    folder = asking.book.parent / "work"
    ask = script(folder, f"URL = {asking.server.url!r}\n{IN_VAIN}")
    for text in (MINE, BROKEN):
        hiding = folder / f"{name}.py"
        hiding.write_text(text)
        done = run(installed.python, ask, cwd=folder.parent)
        assert f"{hiding} hides {what}" in done.stdout, done.stderr
        assert "Rename it" in done.stdout


def end_of_runner(state: StateDir) -> None:
    """End the runner, so that the next command starts one."""
    runner = identity.holder(state.runner_lock)
    if runner is not None:
        os.kill(runner.pid, signal.SIGTERM)
        while identity.is_same_process_alive(runner):
            time.sleep(LOOK_SECONDS)
