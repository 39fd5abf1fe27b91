"""Clients installed in places of their own, once for all processes of a test run: their versions
of openai and httpx must not meet ours."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NODE = Path(__file__).parent / "node"
PACKAGES = ("langchain-openai==1.7.4", "litellm==1.110.2", "llm==0.36", "openai==3.57.0")
"""The versions that facts were measured with; one pip call for all."""


@pytest.fixture(scope="session")
def client_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter that has the clients."""

    def install(folder: Path) -> None:
        run(sys.executable, "-m", "venv", str(folder))
        run(str(folder / "bin/python"), "-m", "pip", "install", "-q", "--no-compile", *PACKAGES)

    return made_once(tmp_path_factory, "client-venv", install) / "bin/python"


@pytest.fixture(scope="session")
def node_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program beside its node_modules."""

    def install(folder: Path) -> None:
        folder.mkdir()
        for name in ("package.json", "package-lock.json", "openai_node.mjs"):
            shutil.copy(NODE / name, folder)
        run("npm", "ci", "--no-audit", "--no-fund", "--prefix", str(folder))

    return made_once(tmp_path_factory, "client-node", install) / "openai_node.mjs"


def made_once(factory: pytest.TempPathFactory, name: str, install: Callable[[Path], None]) -> Path:
    """A folder that the first worker of pytest-xdist makes and the others use."""
    base = factory.getbasetemp()
    # A worker's folder is one below that of the run.
    shared = base.parent if base.name.startswith("popen-") else base
    folder, whole = shared / name, shared / f"{name}.whole"
    with _locked(shared / f"{name}.lock"):
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            install(folder)
            whole.touch()
    return folder


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
