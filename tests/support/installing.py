"""`ktserver install` in tests: small wheels, their index and lock file, and the command."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.processes import identity
from jobs.store.state_dir import StateDir
from server_bundle.install import lock as lock_file
from server_bundle.install.layout import Layout
from server_bundle.install.lock import Wheel
from support import wheel_index
from support.wheel_index import WheelIndex

PYTHON = ".".join(map(str, sys.version_info[:2]))
"""The Python that runs the tests: it is there."""
_KTSERVER = [sys.executable, "-c", "from ktclient.cli.ktserver import main; main()"]


@dataclass
class Running:
    """A command that runs, and the file with what it says."""

    process: subprocess.Popen[bytes]
    file: Path

    @property
    def said(self) -> str:
        return self.file.read_text()


@dataclass
class Bench:
    """All that an installation needs, in a test's folder."""

    top: Path
    index: WheelIndex
    wheels: list[Wheel]
    lock: Path

    @property
    def folder(self) -> Path:
        """Where it is installed without --venv."""
        return StateDir(self.top / "state").engines / lock_file.read(self.lock).name

    @property
    def layout(self) -> Layout:
        return Layout(self.folder)

    def other_lock(self, **header: str) -> Path:
        """A lock of the same wheels for another engine's version, or with another header."""
        said = header or {"version": "0.6.2"}
        return wheel_index.write_lock(self.top / "other.txt", self.wheels, PYTHON, **said)

    def words(self, *words: str, lock: Path | bool = True) -> list[str]:
        """The command line of `ktserver install`."""
        named = self.lock if lock is True else lock
        return [*_KTSERVER, "install", *(["--lock", str(named)] if named else []), *words]

    def run(
        self, *words: str, lock: Path | bool = True, code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """`ktserver install` to its end."""
        return _run(self.words(*words, lock=lock), self.top, code)

    def ktserver(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Another command to its end."""
        return _run([*_KTSERVER, *words], self.top, code)

    def begin(self, *words: str) -> Running:
        """`ktserver install`, while it runs."""
        said = self.top / f"said-{len(list(self.top.glob('said-*')))}"
        with said.open("w") as file:
            process = subprocess.Popen(
                self.words(*words), cwd=self.top, stdout=subprocess.DEVNULL, stderr=file
            )
        return Running(process, said)

    def kill(self) -> None:
        """`kill -9` for the process that installs."""
        running = identity.holder(self.layout.lock)
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)


def _run(command: list[str], folder: Path, code: int) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr + done.stdout
    return done


@contextlib.contextmanager
def bench(top: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Three wheels on an index, and no settings of the user's. What still runs is ended."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    for name in ("PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):  # set by tests
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(top / "xdg"))
    folder = top / "wheels"
    folder.mkdir()
    wheels = [
        wheel_index.make_wheel(folder, "sglang-kt", "0.7.2", 500_000),
        wheel_index.make_wheel(folder, "torch", "2.9.1", 1_500_000),
        wheel_index.make_wheel(folder, "fastapi", "0.128.0"),
    ]
    lock = wheel_index.write_lock(top / "lock.txt", wheels, PYTHON)
    with wheel_index.served(folder) as index:
        bench = Bench(top, index, wheels, lock)
        try:
            yield bench
        finally:
            running = identity.holder(bench.layout.lock)
            if running is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(running.pid, signal.SIGKILL)
