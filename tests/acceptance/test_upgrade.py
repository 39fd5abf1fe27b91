"""`pip install -U` while a job runs: the job goes on in the old code, the next one runs in the new.

Two real wheels: this tree, and this tree with another version number and a further migration.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support.made_once import made_once

from acceptance.clone import copy_of_the_tree
from acceptance.installed import Installed, build, own_wheel
from jobs.store.state_dir import StateDir

NEXT_VERSION = "99.0"
MIGRATION = "ALTER TABLE jobs ADD COLUMN from_the_future TEXT;\n"


def _make_next(tree: Path) -> None:
    """Another version, whose runner is known by its log and whose database is another."""
    changes = {
        "pyproject.toml": ('\nversion = "', f'\nversion = "{NEXT_VERSION}.'),
        "ktclient/_version.py": ('__version__ = "', f'__version__ = "{NEXT_VERSION}.'),
        "jobs/store/files/opening.py": ("SCHEMA_VERSION = ", "SCHEMA_VERSION = 1 + "),
        "jobs/runner/runner_lock.py": ("serves {", "of the next version serves {"),
    }
    for name, (old, new) in changes.items():
        text = (tree / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} no longer has one {old!r}"
        (tree / name).write_text(text.replace(old, new), encoding="utf-8")
    (tree / "jobs/store/sql/9999_next.sql").write_text(MIGRATION, encoding="utf-8")


def _make_earlier(tree: Path) -> None:
    """A version whose package was called `jobs`, and whose processes were started by that name."""
    (tree / "setup.py").unlink()
    program = tree / "jobs/program.py"
    text = program.read_text(encoding="utf-8")
    by_path = "    path = os.path.abspath(__file__)\n    return"
    assert text.count(by_path) == 1
    by_name = f'    return [sys.executable, "-m", module]\n{by_path}'
    program.write_text(text.replace(by_path, by_name), encoding="utf-8")


def _wheel(factory: pytest.TempPathFactory, name: str, change: Callable[[Path], None]) -> Path:
    """Of this tree with a change, built once in a test run."""

    def make(folder: Path) -> None:
        folder.mkdir()
        tree = copy_of_the_tree(folder / "tree")
        change(tree)
        build(tree)

    (wheel,) = made_once(factory, f"{name}-wheel", make).glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _wheel(tmp_path_factory, "earlier", _make_earlier)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return own_wheel(tmp_path_factory), _wheel(tmp_path_factory, "later", _make_next)


@pytest.mark.parametrize("begin", ["now", "earlier"])
def test_an_upgrade_in_place_disturbs_nothing(
    begin: str,
    tmp_path: Path,
    state: StateDir,
    wheels: tuple[Path, Path],
    request: pytest.FixtureRequest,
) -> None:
    """The running request is not touched by the new program, nor by the new schema; the waiting
    one is performed by a runner of the new version; nothing is asked twice. A command that waits
    meanwhile ends in words, as it does not know the schema. From this version, and from one whose
    package had another name."""
    ours = Installed(tmp_path / "venv")
    ours.install(wheels[0] if begin == "now" else request.getfixturevalue("earlier"))
    book = tmp_path / "book.txt"
    book.write_text("A long story. " * 2000, encoding="utf-8")
    with fake_sglang(
        tmp_path, "--prefill-seconds", "12", "--max-running", "1", "--answer", "Whole."
    ) as server:
        first = ours.ktjob("submit", str(book), "--server", server.url)
        second = ours.ktjob("submit", str(book), "--server", server.url)
        server.wait_for_event("prefill_started")
        waiting = ours.begin("wait", first)
        os.kill(server.process.pid, signal.SIGSTOP)  # a prefill as long as the test needs

        ours.install(wheels[1])
        assert NEXT_VERSION in ours.ktjob("--version")
        assert "RUNNING" in ours.ktjob("status", first)

        os.kill(server.process.pid, signal.SIGCONT)
        ours.ktjob("wait", first)
        assert "written by a newer ktjob" in waiting.communicate()[1]
        ours.ktjob("wait", second)
        assert ours.ktjob("result", first) == ours.ktjob("result", second) == "Whole."
        assert len(server.requests()) == 2
    log = state.runner_log.read_text(encoding="utf-8")
    assert "of the next version serves" in log and "a new version of ktjob was installed" in log


def test_an_older_program_beside_a_newer_one_leaves_the_queue_to_it(
    tmp_path: Path, state: StateDir, wheels: tuple[Path, Path]
) -> None:
    """Two installations, one queue: the newer one's database is not touched by the older one,
    whose runner leaves; its worker ends what it has begun."""
    older, newer = Installed(tmp_path / "older"), Installed(tmp_path / "newer")
    older.install(wheels[0])
    newer.install(wheels[1])
    book = tmp_path / "book.txt"
    book.write_text("A long story. " * 2000, encoding="utf-8")
    with fake_sglang(tmp_path, "--prefill-seconds", "2", "--answer", "Whole.") as server:
        first = older.ktjob("submit", str(book), "--server", server.url)
        second = newer.ktjob("submit", str(book), "--server", server.url)
        refused = older.run("submit", str(book), "--server", server.url)
        assert refused.returncode == 1 and "written by a newer ktjob" in refused.stderr
        assert "Traceback" not in refused.stderr and not refused.stdout
        newer.ktjob("wait", first)
        newer.ktjob("wait", second)
        assert newer.ktjob("result", first) == newer.ktjob("result", second) == "Whole."
        assert len(server.requests()) == 2
    assert "of the next version serves" in state.runner_log.read_text(encoding="utf-8")
