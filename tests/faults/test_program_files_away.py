"""ktjob's own files away in mid-queue: renamed, uninstalled, the environment made anew.

Real wheels, real processes. What waits runs when the files are back; nobody types a command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from acceptance.installed import Installed, own_wheel
from fake_sglang.process import FakeServer, fake_sglang
from support.patience import HANG_SECONDS

from jobs.model import Status
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

OURS = ("jobs", "ktclient", "server_bundle", "ktjob")
LOOK_SECONDS = 0.1


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_wheel(tmp_path_factory)


@pytest.fixture
def installed(tmp_path: Path, wheel: Path) -> Installed:
    """An installation of this test's own."""
    environment = Installed(tmp_path / "venv")
    environment.install(wheel)
    return environment


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path, "--max-running", "1", "--answer", "Whole.") as server:
        yield server


Submit = Callable[[Installed], subprocess.CompletedProcess[str]]


@pytest.fixture
def submit(tmp_path: Path, server: FakeServer) -> Submit:
    book = tmp_path / "book.txt"
    book.write_text("A long story. " * 200, encoding="utf-8")

    def run(installed: Installed) -> subprocess.CompletedProcess[str]:
        return installed.run("submit", str(book), "--summarize", "--server", server.url)

    return run


def until(is_so: Callable[[], object], what: str) -> None:
    end = time.monotonic() + HANG_SECONDS
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(LOOK_SECONDS)


def finished(state: StateDir) -> int:
    """How many jobs have ended: a look that starts nothing."""
    with Store.open(state) as store:
        return store.counts().get(Status.FINISHED, 0)


def reason(state: StateDir) -> str:
    trouble = start.runner_trouble(state)
    return trouble.reason if trouble else ""


def pip(installed: Installed, *words: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(installed.python), *words]
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def renamed(installed: Installed, wheel: Path) -> Iterator[None]:
    """All of ktjob's files, and back: the same files as before."""
    away = installed.packages.with_name("away")
    away.mkdir()
    for path in [path for path in installed.packages.iterdir() if path.name.startswith(OURS)]:
        path.rename(away / path.name)
    yield
    for path in list(away.iterdir()):
        path.rename(installed.packages / path.name)


@contextmanager
def uninstalled(installed: Installed, wheel: Path) -> Iterator[None]:
    """`pip uninstall`, then `pip install`."""
    pip(installed, "uninstall", "-y", "ktjob")
    yield
    installed.install(wheel)


@contextmanager
def cleared(installed: Installed, wheel: Path) -> Iterator[None]:
    """`python -m venv --clear`, then all of it again."""
    root = installed.python.parents[1]
    command = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(root)]
    subprocess.run(command, check=True)
    yield
    Installed(root).install(wheel)


@contextmanager
def without_python(installed: Installed, wheel: Path) -> Iterator[None]:
    """The whole environment, its interpreter too."""
    root = installed.python.parents[1]
    root.rename(root.with_name("moved"))
    yield
    root.with_name("moved").rename(root)


@pytest.mark.parametrize("away", [renamed, uninstalled, cleared, without_python])
def test_what_waits_runs_when_the_files_are_back(
    away: Callable[[Installed, Path], object],
    installed: Installed,
    wheel: Path,
    state: StateDir,
    server: FakeServer,
    submit: Submit,
) -> None:
    """The running request ends in the code that it was started with; the runner stays, says why it
    starts nothing, and no try follows another without a rest."""
    server.hold()
    for _ in range(2):
        assert submit(installed).returncode == 0
    server.wait_for_event("prefill_started")
    with away(installed, wheel):  # type: ignore[attr-defined]
        server.let_go()
        until(lambda: reason(state), "the runner reports no trouble")
        assert finished(state) == 1
        seen = time.monotonic(), tries(state)
        until(lambda: tries(state) > seen[1] or away is without_python, "the runner gave up")
        assert tries(state) - seen[1] <= 1 + (time.monotonic() - seen[0]) / 2
    until(lambda: finished(state) == 2, "the queue was lost")
    assert len(server.requests()) == 2
    assert "Traceback" not in state.runner_log.read_text()


def tries(state: StateDir) -> int:
    """How often Python has said in the log that it does not find the program."""
    return state.runner_log.read_text().count("Error while finding module")


def test_a_worker_that_ends_without_a_runner_starts_one_when_it_can(
    installed: Installed, wheel: Path, state: StateDir, server: FakeServer, submit: Submit
) -> None:
    """The runner was killed, and the files are away when the request ends."""
    server.hold()
    for _ in range(2):
        assert submit(installed).returncode == 0
    server.wait_for_event("prefill_started")
    with renamed(installed, wheel):
        os.kill(json.loads(state.runner_lock.read_text())["pid"], signal.SIGKILL)
        server.let_go()
        until(lambda: finished(state) == 1, "the request did not end")
        logs = state.root / "logs"
        until(
            lambda: any("cannot start a runner" in log.read_text() for log in logs.iterdir()),
            "the worker says nothing",
        )
    until(lambda: finished(state) == 2, "the queue was lost")


def test_a_runner_that_finds_its_files_incomplete_says_so_and_stays(
    installed: Installed, state: StateDir, submit: Submit
) -> None:
    """`ktjob status` and `ktjob doctor` name what is missing; the job runs when it is back."""
    (worker,) = installed.packages.glob("ktclient/worker")
    worker.rename(worker.with_name("elsewhere"))
    assert submit(installed).returncode == 0
    until(lambda: "ktclient.worker" in reason(state), "the runner reports no trouble")
    shown = installed.run("status")
    assert (
        "jobs wait: since" in shown.stderr and "No module named 'ktclient.worker'" in shown.stderr
    )
    examined = installed.run("doctor")
    assert (
        examined.returncode == 1 and "can start neither jobs nor its successor" in examined.stdout
    )
    assert "Traceback" not in state.runner_log.read_text()
    worker.with_name("elsewhere").rename(worker)
    until(lambda: finished(state) == 1, "the queue was lost")


def test_a_runner_that_cannot_be_started_is_reported_by_the_next_command(
    installed: Installed, state: StateDir, submit: Submit
) -> None:
    """In words, with the file; the id is printed, and the job runs later."""
    (runner,) = installed.packages.glob("ktclient/_jobs/runner/loop.py")
    runner.rename(runner.with_name("away"))
    done = submit(installed)
    assert done.returncode == 0 and done.stdout
    shown = installed.run("status")
    for said in (done.stderr, shown.stderr, state.runner_log.read_text()):
        assert "are missing or incomplete" in said and "Traceback" not in said
    runner.with_name("away").rename(runner)
    assert installed.run("status").returncode == 0
    until(lambda: finished(state) == 1, "the queue was lost")


def test_another_installation_takes_over_the_queue_of_a_removed_one(
    installed: Installed,
    wheel: Path,
    tmp_path: Path,
    state: StateDir,
    server: FakeServer,
    submit: Submit,
) -> None:
    """The first one never comes back: its runner leaves to that of the next command."""
    other = Installed(tmp_path / "other")
    other.install(wheel)
    server.hold()
    for _ in range(2):
        assert submit(installed).returncode == 0
    server.wait_for_event("prefill_started")
    first = json.loads(state.runner_lock.read_text())["pid"]
    installed.python.parents[1].rename(tmp_path / "removed")
    server.let_go()
    until(lambda: str(installed.python) in reason(state), "the runner reports no trouble")
    assert f"there is no {installed.python}" in state.runner_log.read_text()
    assert other.run("status").returncode == 0
    until(lambda: finished(state) == 2, "the queue was lost")
    assert json.loads(state.runner_lock.read_text())["pid"] != first
    assert len(server.requests()) == 2


def test_a_command_in_the_middle_of_an_installation_says_so(installed: Installed) -> None:
    """One line and exit code 2, no traceback: as it starts, and for what it imports later."""
    for name in ("ktclient/cli/ktjob.py", "ktclient/cli/jobs/status.py", "ktclient/config"):
        path = installed.packages / name
        path.rename(path.with_name("away"))
        done = installed.run("status")
        path.with_name("away").rename(path)
        assert done.returncode == 2 and "are missing or incomplete" in done.stderr
        assert "Traceback" not in done.stderr
