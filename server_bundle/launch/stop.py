"""Ending a server and everything that belongs to it, in bounded time."""

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
"""sglang waits for every request that it has, for ever; sglang-kt also for those whose client has
left in the queue, which never end."""
KEEPER_SECONDS = process_tree.KILL_SECONDS + 10.0
"""What a keeper may need beyond the drain."""
LOOK_SECONDS = 0.1
OnWait = Callable[[float], None]
"""Told the seconds since SIGTERM."""


@dataclass(frozen=True)
class Stopped:
    """What was done."""

    server: ServerState
    seconds: float
    ended: Ended | None
    """By the keeper's word; None when there was none to ask."""
    killed: int
    """Processes that had to be killed."""
    immortal: tuple[Identity, ...]
    """Processes that did not die."""


def down(files: ServerFiles, seconds: float, on_wait: OnWait) -> Stopped | None:
    """Drain for at most so many seconds, then kill. None when nothing of it lived."""
    seen = registry.inspect(files)
    if seen is None or not seen.is_there:
        return None
    began = time.monotonic()
    # Before the server ends: who came after the keeper's last look is found through it.
    known = process_tree.members(registry.known_processes(seen.server))
    if seen.is_kept:
        server_folder.put(files.wish, f"{seconds:g}")
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
        time.sleep(LOOK_SECONDS)  # the end of a process that is not our child gives no event


def _drain(process: Identity, seconds: float, on_wait: OnWait) -> None:
    """Of a server without a keeper."""
    began = time.monotonic()
    process_tree.signal_to(process, signal.SIGTERM)
    while identity.is_same_process_alive(process) and time.monotonic() - began < seconds:
        on_wait(time.monotonic() - began)
        time.sleep(LOOK_SECONDS)


def _note_end(files: ServerFiles, server: ServerState, killed: int, spent: float) -> None:
    """In the place of a keeper that is dead."""
    ended = Ended(clock.now(), None, None, True, round(spent, 1), server.stage, (), killed)
    server_state.write(
        files, dataclasses.replace(server, state=server_state.ENDED, ended=ended, members=())
    )
