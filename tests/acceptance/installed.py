"""ktjob installed in a virtual environment of its own, from a wheel that was built from a tree."""

from __future__ import annotations

import site
import subprocess
import sys
from pathlib import Path

import pytest
from support.made_once import made_once

from acceptance.clone import copy_of_the_tree


def build(tree: Path) -> Path:
    """The wheel of this tree, which must lie in a folder of its own."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tree.parent)]
    subprocess.run([*command, str(tree)], check=True, capture_output=True)
    (wheel,) = tree.parent.glob("*.whl")
    return wheel


def own_wheel(factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree as it is, built once in a test run."""

    def make(folder: Path) -> None:
        folder.mkdir()
        build(copy_of_the_tree(folder / "tree"))

    (wheel,) = made_once(factory, "own-wheel", make).glob("*.whl")
    return wheel


class Installed:
    """A virtual environment with ktjob in it and this one's dependencies behind it."""

    def __init__(self, root: Path, *, is_made: bool = False) -> None:
        self.python = root / "bin" / "python"
        if not is_made:
            self._make(root)

    def _make(self, root: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root)], check=True)
        # Not ktjob itself, which would stand in while pip has removed the old version.
        behind = root / "dependencies"
        behind.mkdir()
        for folder in map(Path, site.getsitepackages()):
            for entry in folder.iterdir():
                if not entry.name.startswith(("jobs", "ktclient", "server_bundle", "ktjob")):
                    (behind / entry.name).symlink_to(entry)
        (self.packages / "dependencies.pth").write_text(f"{behind}\n", encoding="utf-8")

    @property
    def ktjob_script(self) -> Path:
        """What the user calls as `ktjob`."""
        return self.python.with_name("ktjob")

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        (packages,) = self.python.parents[1].glob("lib/python*/site-packages")
        return packages

    def install(self, wheel: Path, *more: str) -> None:
        """Install the wheel over what is there. With `--no-build-isolation --editable` before it,
        a tree instead."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "-U"]
        options = ["--no-deps", "--no-index", "--disable-pip-version-check"]
        subprocess.run([*pip, *options, *more, str(wheel)], check=True, capture_output=True)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.python), "-I", "-m", "ktclient", *words]  # -I: not from this folder
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """The same without waiting for its end."""
        command = [str(self.python), "-I", "-m", "ktclient", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)

    def ktjob(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
