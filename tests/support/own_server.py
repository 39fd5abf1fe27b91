"""A server that passes for one of ours: a note that names its process and log, a held lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs import clock
from jobs.model import Identity
from jobs.processes import identity
from server_bundle.launch import server_state
from server_bundle.launch.server_folder import ServerFiles
from server_bundle.launch.server_state import ServerState


@contextmanager
def recorded(folder: Path, url: str, log: Path, pid: int) -> Iterator[Identity]:
    """The lock is held by this process, which stands for the keeper."""
    files = ServerFiles(folder)
    folder.mkdir(parents=True, exist_ok=True)
    process = identity.of(pid)
    lock = identity.hold(files.lock)
    assert process is not None and lock is not None
    note = ServerState(
        name=folder.name,
        profile="test",
        engine="sglang-kt",
        version="0.7.2",
        model="DeepSeek-V4-Flash",
        url=url,
        context=1_048_576,
        planned_pool=None,
        restart=server_state.NO,
        log=str(log),
        keeper=identity.mine(),
        server=process,
        members=(process,),
        state=server_state.READY,
        started_at=clock.now(),
    )
    server_state.write(files, note)
    try:
        yield process
    finally:
        lock.release()
