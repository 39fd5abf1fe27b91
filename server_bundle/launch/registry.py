"""The supervised servers below a state directory, and their actual state.

A record alone proves nothing: its writer may be dead, and the machine may have been restarted.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobs.model import Identity
from jobs.processes import identity
from server_bundle import addresses
from server_bundle.launch import process_tree, server_state
from server_bundle.launch.server_folder import ServerFiles
from server_bundle.launch.server_state import ServerState
from server_bundle.launch.start_progress import StartUp

STOPPED = "stopped"
CRASHED = "crashed"
_LINE_CHARACTERS = 1 << 16
"""Of a line of a log that are held at once."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Observed:
    """The observed state of one server."""

    files: ServerFiles
    server: ServerState
    state: str
    """starting, ready, draining, waiting, stopped or crashed."""
    is_kept: bool
    """Whether its supervisor lives. Without one it keeps running, but is not restarted."""
    leftovers: tuple[Identity, ...]
    """Processes that still live although the server's main process has ended."""
    why: str
    """The reason of a crash; otherwise a warning, or empty."""

    @property
    def is_running(self) -> bool:
        return self.state not in (STOPPED, CRASHED)

    @property
    def is_there(self) -> bool:
        """Whether any process of it lives."""
        return self.is_running or bool(self.leftovers)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the record, updated with the observed state."""
        truth = {"state": self.state, "kept": self.is_kept, "why": self.why}
        leftovers = {"leftovers": [asdict(one) for one in self.leftovers]}
        return {**self.server.to_dict(), **truth, **leftovers}


def files_of(servers: Path, name: str) -> ServerFiles:
    """The files of the server of this name; they need not exist."""
    return ServerFiles(servers / name)


def all_of(servers: Path) -> list[Observed]:
    """Every server with a record, by name."""
    seen = (inspect(ServerFiles(path.parent)) for path in sorted(servers.glob("*/server.json")))
    return [one for one in seen if one is not None]


def inspect(files: ServerFiles) -> Observed | None:
    """The observed state of one server; None when it has no record."""
    server = server_state.read(files)
    if server is None:
        return None
    is_kept = identity.is_held(files.lock) and identity.is_same_process_alive(server.keeper)
    if is_kept and server.state != server_state.ENDED:
        return Observed(files, server, server.state, True, (), "")
    is_alive = server.server is not None and identity.is_same_process_alive(server.server)
    if is_alive and server.state != server_state.ENDED:
        why = (
            f"its supervisor (process {server.keeper.pid}) was killed. The server keeps running, "
            "but its log is not rotated and it is not restarted after a crash. To fix this, run "
            "`ktserver restart`"
        )
        return Observed(files, server, _state_by_log(server), False, (), why)
    leftovers = tuple(process_tree.members(known_processes(server)))
    if server.state == server_state.ENDED:
        state = STOPPED if server.ended is None or server.ended.asked else CRASHED
        return Observed(
            files, server, state, False, leftovers, "" if state == STOPPED else _end(server)
        )
    why = "it and its supervisor were killed"
    if server.keeper.boot_id != identity.boot_id():
        why = "the machine was restarted"
    return Observed(files, server, CRASHED, False, leftovers, why)


def known_processes(server: ServerState) -> list[Identity]:
    """Every recorded process. When the supervisor is dead, the others are found from these."""
    return [*server.members, *([server.server] if server.server else [])]


def _end(server: ServerState) -> str:
    assert server.ended is not None
    return f"{server.ended.in_words()}, in stage {server.ended.stage!r}"


def _state_by_log(server: ServerState) -> str:
    """The recorded state, or READY if the start was completed after its supervisor had died."""
    if server.state == server_state.STARTING and read_log(server).is_ready:
        return server_state.READY
    return server.state


def read_log(server: ServerState) -> StartUp:
    """The start's progress by the log itself, without waiting for the supervisor's record."""
    start = StartUp()
    with (
        contextlib.suppress(OSError),
        Path(server.log).open(encoding="utf-8", errors="replace") as file,
    ):
        while line := file.readline(_LINE_CHARACTERS):
            start.read(line)
    return start


def log_of(servers: Path, url: str) -> Path | None:
    """The log of the live server at this URL, with or without /v1; None where no supervised server
    runs there. A long log is truncated (`log_rotation`); its content is then in FILE.1."""
    for one in all_of(servers):
        if one.is_running and is_same_place(one.server.url, url):
            return Path(one.server.log)
    return None


def is_same_place(one: str, other: str) -> bool:
    """Whether two URLs mean the same port of the same machine."""
    place = _place(one)
    return place is not None and place == _place(other)


def _place(url: str) -> tuple[str, int] | None:
    """Host and port; all names of this machine are treated as one. None for an invalid URL."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    if not host:
        return None
    port = port or (443 if parts.scheme == "https" else 80)
    return (addresses.LOCALHOST if addresses.is_here(host) else host, port)
