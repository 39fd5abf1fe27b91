"""What a stranger does first: the README's first command, pasted into a fresh machine."""

from __future__ import annotations

import os
import re
import subprocess
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support import processes
from support.patience import HANG_SECONDS
from support.serving import free_port

from acceptance.clone import copy_of_the_tree
from jobs.store.state_dir import StateDir


@dataclass(frozen=True)
class Stranger:
    """A clone, an empty virtual environment and an empty home."""

    clone: Path
    home: Path
    env: dict[str, str]

    def paste(
        self, command: str, seconds: float = HANG_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Type a line into a shell in the clone."""
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.clone,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=seconds,
        )


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Stranger]:
    clone, home = tmp_path / "clone", tmp_path / "home"
    copy_of_the_tree(clone)
    report = clone / "examples" / "report.txt"  # less of it: the model reads 140 tokens a second
    report.write_text(report.read_text(encoding="utf-8")[:6000], encoding="utf-8")
    home.mkdir()
    venv.create(tmp_path / "venv", with_pip=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KTJOB_")}
    path = f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**kept, "HOME": str(home), "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    env = {name: value for name, value in env.items() if not name.startswith("XDG_")}
    someone = Stranger(clone, home, env)
    yield someone
    processes.end_all(StateDir(home / ".local/state/ktjob"))


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.M | re.S)


def test_the_readme_from_its_first_command_to_its_last(stranger: Stranger, tmp_path: Path) -> None:
    """Every command and the Python example run as they stand; only what stands for the reader's
    own - the server's address, the book, the id - is put in."""
    readme = stranger.clone / "README.md"
    getting, first, gateway, server, daily, serving, tests = blocks(readme, "sh")
    assert tests == "pip install -e '.[test]' && pytest\n"  # by which this runs (.ci/run)
    clone, environment, install = getting.splitlines()
    assert clone.startswith("git clone ") and environment.startswith("python3 -m venv ")
    got = stranger.paste(install)
    assert got.returncode == 0, got.stderr
    done = stranger.paste(first)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "A ticket costs 6 pounds.\n"  # as the README shows it
    assert done.stdout in readme.read_text()
    _check_what_it_said(done.stderr)

    example, client = blocks(readme, "python")
    (stranger.clone / "example.py").write_text(example)
    ran = stranger.paste("python example.py")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.rstrip().endswith("tokens read")

    _try_gateway(stranger, gateway, client)
    with fake_sglang(tmp_path, "--answer", "It ends well.") as scripted:
        where, submit = server.splitlines()
        where = where.replace("http://127.0.0.1:40001", scripted.url)
        _run_daily(stranger, where, [submit, *daily.splitlines()])
    _serve_without_a_gpu(stranger, serving.splitlines())


def _check_what_it_said(said: str) -> None:
    assert re.search(r"^job [a-z][a-z0-9]{7}: question about lighthouse.txt", said, re.M)
    for words in (
        "runs on",
        "the embedded SmolLM2",
        "no server is configured, and none answers",
        "next ",
    ):
        assert words in said
    assert "prefill" in said, "no progress"
    assert "demonstration model that invents facts" in said


def _try_gateway(stranger: Stranger, command: str, client: str) -> None:
    """At a port that is free here, of which nothing is left."""
    port = free_port()
    command = command.replace("ktjob serve", f"ktjob serve --port {port}")
    try:
        started = stranger.paste(command)
        assert started.returncode == 0, started.stderr
        assert started.stdout.splitlines()[-1] == f"http://127.0.0.1:{port}/v1"
        text = client.replace("8640", str(port)) + "print(response.status)\n"
        (stranger.clone / "client.py").write_text(text)
        asked = stranger.paste("python client.py")
        assert (asked.returncode, asked.stdout) == (0, "queued\n"), asked.stderr
    finally:
        assert stranger.paste("ktjob serve --stop").returncode == 0


def _run_daily(stranger: Stranger, where: str, lines: list[str]) -> None:
    job_id = ""
    for line in lines:
        command = line.partition("#")[0].strip().replace(" ID", f" {job_id}")
        done = stranger.paste(f"{where}; {command}")
        assert done.returncode == 0, (command, done.stderr)
        if command.startswith("ktjob submit"):
            job_id = done.stdout.strip()
    assert (stranger.clone / "answer.txt").read_text() == "It ends well.\n"


def _serve_without_a_gpu(stranger: Stranger, lines: list[str]) -> None:
    """Here nothing can be started: each command says so, and what to do. What they do where it can
    is in tests/faults/test_server_*.py and tests/conformance."""
    expected = {
        "install": (0, "GB to fetch"),  # with --dry-run: the packages are not for a test
        "fetch": (2, "pip install 'ktjob[fetch]'"),
        "plan": (0, "--kt-weight-path"),
        "doctor": (1, "ERROR  weights"),
        "up": (6, "--no-check"),
        "status": (6, "ktserver up"),
        "explain": (0, "server.log"),  # that one left a log, of no failure
        "down": (0, "no server started by ktserver is running"),
    }
    assert [line.split()[1] for line in lines] == list(expected)
    stranger.paste("ktserver down")  # the embedded one of the first command
    for line in lines:
        code, words = expected[line.split()[1]]
        command = line.partition("#")[0].rstrip()
        done = stranger.paste(f"{command} --dry-run" if "install" in command else command)
        assert done.returncode == code, (line, done.stderr)
        assert words in done.stdout + done.stderr, line
