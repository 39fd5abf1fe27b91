"""Fixtures of tests that run `ktjob` commands against the scripted server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support import commands
from support.commands import Run


@pytest.fixture
def run(ktjob_command: list[str], ktjob_home: Path, tmp_path: Path) -> Run:
    """Runs `ktjob` commands in the test's own folder."""
    return commands.runner(ktjob_command, tmp_path)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server that answers "Well." and is the configured one."""
    with fake_sglang(tmp_path, "--answer", "Well.") as server:
        monkeypatch.setenv("KTJOB_SERVER", server.url)
        yield server
