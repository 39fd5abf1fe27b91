"""A machine that is a folder of files, and what the doctor finds on it; a tiny server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.served import served
from support.tiny_server import Tiny

from ktclient import doctor
from ktclient.config import settings as config
from ktclient.doctor import Finding, Machine

Files = dict[str, str]


@pytest.fixture
def lay(tmp_path: Path) -> Callable[[Files], Path]:
    """Puts a machine's files by their paths below its root, and returns that."""

    def put(files: Files) -> Path:
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    return put


@pytest.fixture
def look(
    lay: Callable[[Files], Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[Finding]]:
    """What is found about something on a machine with these files, where no server is asked."""
    monkeypatch.setenv("KTJOB_SERVER", "embedded")

    def find(
        about: str,
        files: Files | None = None,
        *,
        user: str = "me",
        uid: int = 1000,
        free: int = 10**12,
    ) -> list[Finding]:
        machine = Machine(lay(files or {}), user, lambda path: free, uid)
        return [one for one in doctor.examine(config.load(), machine) if one.about == about]

    return find


@pytest.fixture
def look_at(look: Callable[..., list[Finding]]) -> Callable[..., Finding]:
    """The same where there is exactly one."""

    def find(about: str, files: Files | None = None, **more: object) -> Finding:
        found = look(about, files, **more)
        assert len(found) == 1, found
        return found[0]

    return find


@pytest.fixture
def tiny() -> Iterator[Tiny]:
    """A server of this test's own."""
    with served(Tiny()) as server:
        yield server
