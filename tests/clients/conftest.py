"""Clients installed in places of their own, once for all processes of a test run: their versions
of openai and httpx must not meet ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.made_once import made_once

NODE = Path(__file__).parent / "node"
PACKAGES = ("langchain-openai==1.7.4", "litellm==1.110.2", "llm==0.36", "openai==3.57.0")
"""The versions that facts were measured with; one pip call for all."""


@pytest.fixture(scope="session")
def client_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter that has the clients."""

    def install(folder: Path) -> None:
        run(sys.executable, "-m", "venv", "--without-pip", str(folder))
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python")]
        run(*pip, "install", "-q", "--no-compile", *PACKAGES)

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


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
