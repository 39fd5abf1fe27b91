"""A server that passes for one of ours: a record that names its process and log, a held lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs import clock, identity
from jobs.model import Identity
from server_bundle import record
from server_bundle.record import RunningServer, ServerFiles


@contextmanager
def recorded(folder: Path, url: str, log: Path, pid: int) -> Iterator[Identity]:
    """The lock is held by this process, as the server's would be by the server."""
    files = ServerFiles(folder)
    folder.mkdir(parents=True, exist_ok=True)
    process = identity.of(pid)
    lock = identity.hold(files.lock)
    assert process is not None and lock is not None
    running = RunningServer(
        url=url,
        model="DeepSeek-V4-Flash",
        window=1_048_576,
        started_at=clock.now(),
        idle_seconds=0.0,
        process=process,
        log=str(log),
    )
    record.write(files, running)
    try:
        yield process
    finally:
        lock.release()
