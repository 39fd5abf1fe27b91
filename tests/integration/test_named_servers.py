"""Two servers with a key each, and a real runner: each job brings its own server's key."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support import commands
from support.served import served


class _Doorkeeper(ThreadingHTTPServer):
    """Keeps every key that it was shown, and refuses all."""

    shown: set[str | None]


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Doorkeeper)
        self.server.shown.add(self.headers.get("authorization"))
        self.send_response(401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not on stderr."""


@pytest.fixture
def stranger() -> Iterator[_Doorkeeper]:
    server = _Doorkeeper(("127.0.0.1", 0), _Refusing)
    server.shown = set()
    with served(server):
        yield server


@pytest.mark.promise
def test_each_job_brings_its_own_servers_key(
    tmp_path: Path, ktjob_home: Path, ktjob_command: list[str], stranger: _Doorkeeper
) -> None:
    """By name, by URL, through submit and the runner; and a third server is shown none."""

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return commands.ran([*ktjob_command, *args], tmp_path)

    (tmp_path / "a.txt").write_text("A story.")
    folder = tmp_path / "config"
    folder.mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with (
        fake_sglang(tmp_path / "one", "--require-key", "key-one", "--answer", "First.") as one,
        fake_sglang(tmp_path / "two", "--require-key", "key-two", "--answer", "Second.") as two,
    ):
        text = ""
        for name, server in (("one", one), ("two", two)):
            (folder / f"{name}.key").write_text(f"key-{name}\n")
            text += f'[servers.{name}]\nurl = "{server.url}"\napi_key_file = "{name}.key"\n'
        (folder / "config.toml").write_text(text)
        first = run("submit", "a.txt", "--server", "one", "--wait")
        second = run("submit", "a.txt", "--server", two.url, "--wait")
        assert (first.stdout, second.stdout) == ("First.\n", "Second.\n"), second.stderr
        third = run("submit", "a.txt", "--server", f"http://127.0.0.1:{stranger.server_port}")
        assert third.returncode != 0
        assert stranger.shown == {None}
    kept = b"".join(path.read_bytes() for path in ktjob_home.rglob("*") if path.is_file())
    assert not re.search(rb"key-(one|two)", kept)
