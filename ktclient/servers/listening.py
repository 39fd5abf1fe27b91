"""Identify the run of a server on this machine by its listening socket.

No server reports when it was started (sglang's /v1/models has `created`, which is the time of the
answer). But the kernel numbers its listening socket: another run has another number.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from jobs.processes import identity
from jobs.system import listening_sockets
from ktclient import urls


def run_of(url: str) -> str | None:
    """An id that stays the same while the same process listens there; None for another machine, or
    if the kernel does not report it. An SSH tunnel has its own run: a changed id may mean another
    server, an unchanged one proves nothing about the server behind it."""
    if not urls.is_local(url):
        return None
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    inodes = listening_sockets.inodes(port)
    return f"{identity.boot_id()}:{','.join(inodes)}" if inodes else None
