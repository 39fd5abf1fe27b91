"""Every command of the docs and the examples, as a reader types it. README: test_first_command.py;
guarantees.md and CONTRIBUTING.md have only pytest's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support import page as pages
from support import processes
from support.serving import free_port

from jobs.store.state_dir import StateDir

ROOT = Path(__file__).parents[2]
GUIDES = [
    ROOT / "docs/tutorial.md",
    *(ROOT / f"docs/{name}.md" for name in ("database", "reference", "server")),
    *sorted(ROOT.glob("docs/howto/*.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
]
REASONS = {
    "the README's test installs into a new environment",
    "there are no four GPUs in CI",
    "CI does not wait for the night",
    "it changes the machine",
    "it fetches gigabytes: the tests of both commands fetch less",
}
"""Why a block may be left out; whoever needs another argues for it here."""


def name_of(guide: Path) -> str:
    return guide.stem if guide.stem != "README" else f"example-{guide.parent.name}"


@dataclass(frozen=True)
class Desk:
    """A reader's folder and environment, and the server that answers at the pages' address."""

    folder: Path
    environment: dict[str, str]
    server: FakeServer


@pytest.fixture
def desk(tmp_path: Path, model_cache: Path, guide: Path) -> Iterator[Desk]:
    folder, home = tmp_path / "desk", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    shutil.copytree(ROOT / "examples", folder / "examples")
    if ROOT / "examples" not in guide.parents:  # pages are about the reader's own files
        for name in ("report.txt", "book.txt", "batch/requests.jsonl"):
            shutil.copy(ROOT / "examples" / name, folder)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KTJOB_")}
    kept = {name: value for name, value in kept.items() if not name.startswith("XDG_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**kept, "HOME": str(home), "PATH": path, "KTJOB_CACHE": str(model_cache)}
    with fake_sglang(tmp_path, "--answer", '{"answers": ["It ends well.", "All."]}') as server:
        # A page that names no server would have the embedded model answer. That it does is the
        # business of test_first_command.py, and takes a minute of two cores.
        environment["KTJOB_SERVER"] = server.url
        _point(folder / "examples", server)
        _stand_for_gpu1(tmp_path, environment, server)
        yield Desk(folder, environment, server)
        stop = [sys.executable, "-m", "ktclient", "serve", "--stop"]
        subprocess.run(stop, env=environment, check=True, capture_output=True)
        for one in (home, tmp_path / "far"):
            processes.end_all(StateDir(one / ".local/state/ktjob"))


def _point(examples: Path, server: FakeServer) -> None:
    """Scripts that name the guide's server ask the one that stands for it."""
    for script in [*examples.glob("*/*.py"), *examples.glob("*/*.sh")]:
        text = script.read_text(encoding="utf-8")
        script.write_text(text.replace("http://localhost:40001", server.url), encoding="utf-8")


def _stand_for_gpu1(folder: Path, environment: dict[str, str], server: FakeServer) -> None:
    """An `ssh` that leads to another home of this machine, where the rest is the real far side.
    Over a real sshd: test_remote.py."""
    far, here = folder / "far", Path(environment["HOME"]) / ".config/ktjob"
    for home, table in (
        (far / ".config/ktjob", f'[server]\nurl = "{server.url}"\n'),
        (here, f'[hosts.gpu1]\nktjob = "{Path(sys.executable).parent}/ktjob"\n'),
    ):
        home.mkdir(parents=True)
        (home / "config.toml").write_text(table)
    programs = folder / "programs"
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(
        '#!/bin/sh\n[ "$1" = -G ] && exit 0\nfor command; do :; done\n'
        f'unset KTJOB_HOST\nHOME={far} exec sh -c "$command"\n'
    )
    ssh.chmod(0o755)
    environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_every_command_does_what_the_page_says(guide: Path, desk: Desk) -> None:
    """It ends with the exit code that the page promises: 0 unless said otherwise."""
    typed = pages.commands(guide)
    assert typed
    port = free_port()
    words = {
        "http://127.0.0.1:40001": desk.server.url,
        "ktjob serve": f"ktjob serve --port {port}",
        "127.0.0.1:8640": f"127.0.0.1:{port}",
    }
    with pages.Reader(desk.folder, desk.environment, words) as reader:
        for command in typed:
            reader.type(command)


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_what_is_left_out_has_a_reason_that_was_argued_for(guide: Path) -> None:
    """Nobody leaves a command out by the way."""
    assert set(pages.not_run(guide)) <= REASONS
