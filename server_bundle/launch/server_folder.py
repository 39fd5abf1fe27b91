"""The note that a running server leaves about itself, and whether it is still true."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.model import Identity
from jobs.processes import identity


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


@dataclass(frozen=True)
class RunningServer:
    """A server that lives. `url` is its root, without /v1; `window` in tokens."""

    url: str
    model: str
    window: int
    started_at: str
    idle_seconds: float
    """It stops by itself after so long without a request."""
    process: Identity
    log: str


def write(files: ServerFiles, server: RunningServer) -> None:
    """Leave the note, whole or not at all."""
    put(files.record, json.dumps(asdict(server), indent=1))


def read(files: ServerFiles) -> RunningServer | None:
    """The running server; None when none holds the lock."""
    if not identity.is_held(files.lock):
        return None
    try:
        data = json.loads(files.record.read_text(encoding="utf-8"))
        server = RunningServer(**{**data, "process": Identity(**data["process"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # not written yet, or by another version
    return server if identity.is_same_process_alive(server.process) else None
