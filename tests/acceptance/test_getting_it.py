"""ktjob installed in each way that the README names, by the real tools from the package index, and
the command that its own message gives for an extra.

`KTJOB_REAL_INSTALLERS=1 pytest tests/acceptance/test_getting_it.py`: it fetches some 60 MB.
"""

from __future__ import annotations

import os
import re
import subprocess
import venv
from pathlib import Path

import pytest

from acceptance.clone import copy_of_the_tree

WAYS = {
    "pip": ("python3 -m venv made && made/bin/pip install ./clone", "made/bin"),
    "uv in an environment": (
        "uv venv made && uv pip install --python made/bin/python ./clone",
        "made/bin",
    ),
    "uv tool": ("uv tool install ./clone", "bin"),
    "pipx": ("pipx install ./clone", "bin"),
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """uv and pipx, which put everything below the test's folder."""
    copy_of_the_tree(tmp_path / "clone")
    venv.create(tmp_path / "tools", with_pip=True)
    pip = [str(tmp_path / "tools/bin/pip"), "install", "-q", "uv", "pipx"]
    subprocess.run(pip, check=True, capture_output=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KTJOB_")}
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "PATH": f"{tmp_path}/bin{os.pathsep}{tmp_path}/tools/bin{os.pathsep}/usr/bin:/bin",
        "UV_TOOL_DIR": str(tmp_path / "uv"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
    }


@pytest.mark.installers
@pytest.mark.parametrize("way", WAYS)
def test_the_command_of_the_message_brings_the_extra(
    way: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    """The message of a missing extra names a command, and after it the extra is there."""

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    install, programs = WAYS[way]
    done = shell(install)
    assert done.returncode == 0, done.stderr
    missing = shell(f"{programs}/ktjob serve --port 1")
    assert missing.returncode == 2, missing.stderr
    advice = re.search(r"needs the package \w+: (.*)$", missing.stderr.strip())
    assert advice, missing.stderr
    added = shell(advice[1])
    assert added.returncode == 0, (advice[1], added.stderr)
    there = shell(f"{programs}/ktjob serve --host 192.0.2.1 --port 1")
    assert there.returncode != 0 and "needs the package" not in there.stderr, there.stderr
