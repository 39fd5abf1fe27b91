"""Stopping a server and all its processes, in bounded time."""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from jobs import clock
from jobs.model import Identity
from jobs.processes import identity
from server_bundle.launch import process_tree, registry, server_folder, server_state
from server_bundle.launch.server_folder import ServerFiles
from server_bundle.launch.server_state import Ended, ServerState

DRAIN_SECONDS = 60.0
"""Default drain time. sglang itself waits without limit for all its requests, and sglang-kt also
for queued requests whose client has left, which never end."""
KEEPER_SECONDS = process_tree.KILL_SECONDS + 10.0
"""How long a supervisor may take beyond the drain time."""
LOOK_SECONDS = 0.1
OnWait = Callable[[float], None]
"""Called with the seconds since SIGTERM."""


@dataclass(frozen=True)
class Stopped:
    """The result of a stop."""

    server: ServerState
    seconds: float
    ended: Ended | None
    """The end as the supervisor recorded it; None without a live supervisor."""
    killed: int
    """Processes that had to be killed."""
    immortal: tuple[Identity, ...]
    """Processes that did not die."""


def down(files: ServerFiles, seconds: float, on_wait: OnWait) -> Stopped | None:
    """Drain for at most `seconds`, then kill. None when no process of it lived."""
    seen = registry.inspect(files)
    if seen is None or not seen.is_there:
        return None
    began = time.monotonic()
    # List processes before the server ends: those started after the supervisor's last check are
    # found through their parent.
    known = process_tree.members(registry.known_processes(seen.server))
    if seen.is_kept:
        server_folder.write_private(files.wish, f"{seconds:g}")
        process_tree.signal_to(seen.server.keeper, signal.SIGTERM)
        _wait(lambda: identity.is_same_process_alive(seen.server.keeper), began, seconds, on_wait)
        process_tree.signal_to(seen.server.keeper, signal.SIGKILL)  # one that hangs
    server = server_state.read(files) or seen.server
    told = server.ended if seen.is_kept and server.state == server_state.ENDED else None
    if told is None and server.server is not None:
        _drain(server.server, seconds - (time.monotonic() - began), on_wait)
    hit, immortal = process_tree.kill([*known, *registry.known_processes(server)])
    spent = time.monotonic() - began
    if told is None:
        _note_end(files, server, hit, spent)
    killed = hit + (told.killed if told else 0)
    return Stopped(server, spent, told, killed, tuple(immortal))


def _wait(is_alive: Callable[[], bool], began: float, seconds: float, on_wait: OnWait) -> None:
    while is_alive():
        spent = time.monotonic() - began
        if spent > seconds + KEEPER_SECONDS:
            return
        on_wait(spent)
        time.sleep(LOOK_SECONDS)  # no event reports the end of a process that is not a child


def _drain(process: Identity, seconds: float, on_wait: OnWait) -> None:
    """Drain a server without a supervisor."""
    began = time.monotonic()
    process_tree.signal_to(process, signal.SIGTERM)
    while identity.is_same_process_alive(process) and time.monotonic() - began < seconds:
        on_wait(time.monotonic() - began)
        time.sleep(LOOK_SECONDS)


def _note_end(files: ServerFiles, server: ServerState, killed: int, spent: float) -> None:
    """Record the end in place of a dead supervisor."""
    ended = Ended(clock.now(), None, None, True, round(spent, 1), server.stage, (), killed)
    server_state.write(
        files, dataclasses.replace(server, state=server_state.ENDED, ended=ended, members=())
    )
