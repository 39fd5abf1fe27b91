"""Identify the run of a server on this machine by its listening socket.

No server reports when it was started (sglang's /v1/models has `created`, which is the time of the
answer). But the kernel numbers its listening socket: another run has another number.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from jobs.processes import identity
from ktclient import urls

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTEN = "0A"
"""TCP_LISTEN in the column `st` of proc_pid_net(5); `inode` is the tenth column."""
_SOCK_DIAG, _BY_FAMILY, _DUMP = 4, 20, 0x301
_ERROR, _DONE = 2, 3
_HEAD, _QUESTION = struct.Struct("=IHHII"), struct.Struct("=BBBBI")
_PORT, _INODE = struct.Struct("!H"), struct.Struct("=I")
_REST_OF_ID, _PORT_AT, _INODE_AT = bytes(46), 4, 68
_MOST_BYTES = 1 << 16
"""Numbers and layouts of netlink(7) and sock_diag(7)."""
_PATIENCE_SECONDS = 1.0


def run_of(url: str) -> str | None:
    """An id that stays the same while the same process listens there; None for another machine, or
    if the kernel does not report it. An SSH tunnel has its own run: a changed id may mean another
    server, an unchanged one proves nothing about the server behind it."""
    if not urls.is_local(url):
        return None
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    inodes = sorted(_listeners(port))
    return f"{identity.boot_id()}:{','.join(inodes)}" if inodes else None


def _listeners(port: int) -> set[str]:
    """The inodes of the sockets that listen at a port. The kernel is asked for those alone: its
    table of all connections takes it 8 ms to write, and is asked for five times by each job."""
    try:
        return {
            inode for family in (socket.AF_INET, socket.AF_INET6) for inode in _told(family, port)
        }
    except (OSError, struct.error):  # not in every container
        return {inode for table in _TABLES for inode in _in_table(Path(table), port)}


def _told(family: int, port: int) -> Iterator[str]:
    """By sock_diag(7). Raises `OSError`, also where the kernel does not know that question."""
    listen = 1 << int(_LISTEN, 16)
    question = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, 0, listen)
    question += _PORT.pack(port) + _REST_OF_ID
    head = _HEAD.pack(_HEAD.size + len(question), _BY_FAMILY, _DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
        kernel.settimeout(_PATIENCE_SECONDS)
        kernel.send(head + question)
        kind = 0
        while kind != _DONE:
            for kind, body in _messages(kernel.recv(_MOST_BYTES)):
                if kind in (_DONE, _ERROR):
                    if body[:4].strip(b"\0"):
                        raise OSError("the kernel does not know that question")
                    kind = _DONE
                elif _PORT.unpack_from(body, _PORT_AT) == (port,):
                    yield str(_INODE.unpack_from(body, _INODE_AT)[0])


def _messages(told: bytes) -> Iterator[tuple[int, bytes]]:
    """The kind and the body of each, by netlink(7)."""
    while told:
        size, kind, *_ = _HEAD.unpack_from(told)
        yield kind, told[_HEAD.size : size]
        told = told[(size + 3) & ~3 :]


def _in_table(table: Path, port: int) -> Iterator[str]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:  # no /proc
        return
    for line in lines:
        columns = line.split()
        is_listener = len(columns) > 9 and columns[3] == _LISTEN
        if is_listener and int(columns[1].rpartition(":")[2], 16) == port:
            yield columns[9]
