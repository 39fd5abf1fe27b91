"""The note that a running server leaves about itself, and whether it is still true."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServerFiles:
    """Every file of one server of ours, in one folder."""

    folder: Path

    @property
    def record(self) -> Path:
        return self.folder / "server.json"

    @property
    def lock(self) -> Path:
        """Held by the server for as long as it lives."""
        return self.folder / "server.lock"

    @property
    def starting_lock(self) -> Path:
        """Held by whoever starts or stops the server."""
        return self.folder / "starting.lock"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def last_log(self) -> Path:
        return self.folder / "server.log.1"

    @property
    def plan(self) -> Path:
        """What a server with a keeper was last started with."""
        return self.folder / "plan.json"

    @property
    def wish(self) -> Path:
        """What the keeper is told to do beside SIGTERM: for how many seconds to drain."""
        return self.folder / "stop"


def put(path: Path, text: str) -> None:
    """Write a file of ours (0600), whole or not at all."""
    draft = path.with_name(path.name + ".draft")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(draft, path)
