"""The form of findings/, as its README states it. The scripts themselves are not run: they install
packages."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

FINDINGS = Path(__file__).parents[2] / "findings"
SCRIPTS = sorted(FINDINGS.glob("*.sh"))
INSTALLER = re.compile(r"""(?:/pip"|\bnpm|\bapt-get) (?:install|download) (.+)""")
PINNED = re.compile(r"[@A-Za-z][\w./-]*(?:==|@|=)(\d[\w.:+~-]*)")
"""An exact version, as pip, npm and apt-get take it."""


def head(script: Path) -> str:
    """The comments at the head, without their marks."""
    lines = script.read_text(encoding="utf-8").splitlines()[1:]
    count = next(n for n, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line.removeprefix("#").strip() for line in lines[:count])


def commands(script: Path) -> list[str]:
    """The shell's logical lines: continued ones joined, comments and programs in other languages
    left out."""
    text = re.sub(r"<<'(\w+)'\n.*?\n\1\n", "\n", script.read_text(encoding="utf-8"), flags=re.S)
    lines = text.replace("\\\n", " ").splitlines()
    return [re.sub(r"(?:^|\s)#.*", "", line) for line in lines]


def installed(script: Path) -> list[str]:
    """The packages that its commands name: their words but for options and a folder for pip."""
    calls = [call for line in commands(script) if (call := INSTALLER.search(line))]
    words = [word for call in calls for word in re.sub(r"--dest\s+\S+", "", call[1]).split()]
    return [word for word in words if not word.startswith("-")]


def test_the_readme_lists_every_script_and_no_other() -> None:
    """Each in a row of its table, by a link."""
    rows = re.findall(
        r"^\| \[([\w-]+)\]\(([\w.-]+)\) \| \S", (FINDINGS / "README.md").read_text("utf-8"), re.M
    )
    assert [target for _, target in rows] == [script.name for script in SCRIPTS]
    assert all(target == f"{name}.sh" for name, target in rows)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
class TestForm:
    def test_it_is_bash_that_stops_at_an_error(self, script: Path) -> None:
        """`bash -n` reads it without running it."""
        text = script.read_text(encoding="utf-8")
        assert text.startswith("#!/usr/bin/env bash\n")
        assert "\nset -euo pipefail\n" in text
        assert os.access(script, os.X_OK)
        done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_its_head_states_tool_and_version_surprise_and_output(self, script: Path) -> None:
        """In this order, each with words."""
        parts = re.fullmatch(r"Tool: (.+)\nSurprise: (.+)\nSeen: (.+)", head(script), re.S)
        assert parts is not None
        tool, surprise, seen = parts.groups()
        assert re.search(r"\d+\.\d+", tool)
        assert len(surprise) > 100 and len(seen) > 50

    def test_it_installs_versions_that_its_head_names(self, script: Path) -> None:
        """Pinned, every one of them."""
        names = installed(script)
        assert names
        for name in names:
            pinned = PINNED.fullmatch(name)
            assert pinned is not None, name
            assert pinned[1] in head(script), name

    def test_it_leaves_nothing_behind_and_has_no_use_for_this_project(self, script: Path) -> None:
        """A temporary folder that goes at the end; no import of ours."""
        lines = commands(script)
        assert "folder=$(mktemp -d)" in lines
        assert "trap 'rm -rf \"$folder\"' EXIT" in lines
        text = script.read_text(encoding="utf-8")
        ours = r"\b(?:import|from) (?:ktclient|jobs|server_bundle)\b|\bkt(?:job|server) "
        assert not re.search(ours, text)

    def test_it_fails_with_a_line_when_the_behaviour_changed(self, script: Path) -> None:
        """`changed:`, and the exit code 1 (sys.exit of a text gives it)."""
        text = script.read_text(encoding="utf-8")
        assert re.search(r'sys\.exit\(\s*f?"changed: ', text) or (
            'print("changed:' in text and "os._exit(1 if " in text
        )
