"""The files of one server, and the record of a running server with a check that it still runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs import draft


@dataclass(frozen=True)
class ServerFiles:
    """Every file of one server, in one folder."""

    folder: Path

    @property
    def record(self) -> Path:
        return self.folder / "server.json"

    @property
    def lock(self) -> Path:
        """Held by the server (or its supervisor) while it lives."""
        return self.folder / "server.lock"

    @property
    def starting_lock(self) -> Path:
        """Held by a process that starts the server."""
        return self.folder / "starting.lock"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def last_log(self) -> Path:
        return self.folder / "server.log.1"

    @property
    def plan(self) -> Path:
        """The plan of the last start of a supervised server."""
        return self.folder / "plan.json"

    @property
    def wish(self) -> Path:
        """The stop file: for how many seconds the supervisor drains after SIGTERM."""
        return self.folder / "stop"


def write_private(path: Path, text: str) -> None:
    """Write a file (0600) atomically."""
    draft.write(path, text)
