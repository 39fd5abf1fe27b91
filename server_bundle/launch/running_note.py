"""The note that a running server leaves about itself, and whether it is still true."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from jobs.model import Identity
from jobs.processes import identity
from server_bundle.launch import server_folder
from server_bundle.launch.server_folder import ServerFiles


@dataclass(frozen=True)
class RunningServer:
    """A server that lives. `url` is its root, without /v1; `window` in tokens."""

    url: str
    model: str
    window: int
    started_at: str
    idle_seconds: float
    """It stops by itself after this time without a request."""
    process: Identity
    log: str


def write(files: ServerFiles, server: RunningServer) -> None:
    """Write the record atomically."""
    server_folder.write_private(files.record, json.dumps(asdict(server), indent=1))


def read(files: ServerFiles) -> RunningServer | None:
    """The running server; None when no server holds the lock."""
    if not identity.is_held(files.lock):
        return None
    try:
        data = json.loads(files.record.read_text(encoding="utf-8"))
        server = RunningServer(**{**data, "process": Identity(**data["process"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # not written yet, or by another version
    return server if identity.is_same_process_alive(server.process) else None
