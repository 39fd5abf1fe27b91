"""Identify the run of a server on this machine by its listening socket.

No server reports when it was started (sglang's /v1/models has `created`, which is the time of the
answer). But the kernel numbers its listening socket: another run has another number.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from jobs.processes import identity
from ktclient import urls

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTEN = "0A"
"""TCP_LISTEN in the column `st` of proc_pid_net(5); `inode` is the tenth column."""


def run_of(url: str) -> str | None:
    """An id that stays the same while the same process listens there; None for another machine, or
    if the kernel does not report it. An SSH tunnel has its own run: a changed id may mean another
    server, an unchanged one proves nothing about the server behind it."""
    if not urls.is_local(url):
        return None
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    inodes = sorted({inode for table in _TABLES for inode in _listeners(Path(table), port)})
    return f"{identity.boot_id()}:{','.join(inodes)}" if inodes else None


def _listeners(table: Path, port: int) -> Iterator[str]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:  # no /proc
        return
    for line in lines:
        columns = line.split()
        is_listener = len(columns) > 9 and columns[3] == _LISTEN
        if is_listener and int(columns[1].rpartition(":")[2], 16) == port:
            yield columns[9]
