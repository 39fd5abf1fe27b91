"""The servers with a keeper that there are below a state directory, and what is true of them now.

A note proves nothing: its writer may be dead, and the machine may have been restarted since.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobs.model import Identity
from jobs.processes import identity
from server_bundle.launch import process_tree, server_state
from server_bundle.launch.server_folder import ServerFiles
from server_bundle.launch.server_state import ServerState
from server_bundle.launch.start_progress import StartUp

STOPPED = "stopped"
CRASHED = "crashed"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Observed:
    """One server, looked at."""

    files: ServerFiles
    server: ServerState
    state: str
    """starting, ready, draining, waiting, stopped or crashed."""
    is_kept: bool
    """Whether its keeper lives. Without one it goes on, but is not started again."""
    leftovers: tuple[Identity, ...]
    """What lives of its processes though the server itself is gone."""
    why: str
    """Of a crash; otherwise what somebody should know, or nothing."""

    @property
    def is_running(self) -> bool:
        return self.state not in (STOPPED, CRASHED)

    @property
    def is_there(self) -> bool:
        """Whether anything of it lives."""
        return self.is_running or bool(self.leftovers)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: what was noted, with what is true instead of what was."""
        truth = {"state": self.state, "kept": self.is_kept, "why": self.why}
        leftovers = {"leftovers": [asdict(one) for one in self.leftovers]}
        return {**self.server.to_dict(), **truth, **leftovers}


def files_of(servers: Path, name: str) -> ServerFiles:
    """The files of the server of this name, there or not."""
    return ServerFiles(servers / name)


def all_of(servers: Path) -> list[Observed]:
    """Every server that was ever started and not forgotten, by name."""
    seen = (inspect(ServerFiles(path.parent)) for path in sorted(servers.glob("*/server.json")))
    return [one for one in seen if one is not None]


def inspect(files: ServerFiles) -> Observed | None:
    """What is true of one; None when there never was one."""
    server = server_state.read(files)
    if server is None:
        return None
    is_kept = identity.is_held(files.lock) and identity.is_same_process_alive(server.keeper)
    if is_kept and server.state != server_state.ENDED:
        return Observed(files, server, server.state, True, (), "")
    is_alive = server.server is not None and identity.is_same_process_alive(server.server)
    if is_alive and server.state != server_state.ENDED:
        why = (
            f"its keeper (process {server.keeper.pid}) was killed: it runs on, but its log grows "
            "without end and nobody starts it again; `ktserver restart` gives it another"
        )
        return Observed(files, server, _state_by_log(server), False, (), why)
    leftovers = tuple(process_tree.members(known_processes(server)))
    if server.state == server_state.ENDED:
        state = STOPPED if server.ended is None or server.ended.asked else CRASHED
        return Observed(
            files, server, state, False, leftovers, "" if state == STOPPED else _end(server)
        )
    why = "it and its keeper were killed"
    if server.keeper.boot_id != identity.boot_id():
        why = "the machine was restarted"
    return Observed(files, server, CRASHED, False, leftovers, why)


def known_processes(server: ServerState) -> list[Identity]:
    """Every process that was noted: of a server whose keeper is dead, the way to the rest."""
    return [*server.members, *([server.server] if server.server else [])]


def _end(server: ServerState) -> str:
    assert server.ended is not None
    return f"{server.ended.in_words()}, at {server.ended.stage}"


def _state_by_log(server: ServerState) -> str:
    """Whether a start was finished after its keeper had died."""
    if server.state == server_state.STARTING and read_log(server).is_ready:
        return server_state.READY
    return server.state


def read_log(server: ServerState) -> StartUp:
    """What the log says by now, without waiting for the keeper to note it."""
    start = StartUp()
    with contextlib.suppress(OSError):
        text = Path(server.log).read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            start.read(line)
    return start


def log_of(servers: Path, url: str) -> Path | None:
    """The log of the live server of ours at this URL, with or without /v1; None where there is
    none. It is cut to nothing when it is long (`rotation`), what it held is then in FILE.1."""
    for one in all_of(servers):
        if one.is_running and is_same_place(one.server.url, url):
            return Path(one.server.log)
    return None


def is_same_place(one: str, other: str) -> bool:
    """Whether two URLs name the same port of the same machine."""
    place = _place(one)
    return place is not None and place == _place(other)


def _place(url: str) -> tuple[str, int] | None:
    """Host and port; every way to write this machine is the same. None for what is no URL."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    if not host:
        return None
    port = port or (443 if parts.scheme == "https" else 80)
    try:
        address = ipaddress.ip_address(host)
        is_here = address.is_loopback or address.is_unspecified
    except ValueError:
        is_here = host == "localhost"
    return ("localhost" if is_here else host, port)
