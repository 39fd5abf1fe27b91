"""The listening TCP sockets of a port, by the kernel's numbers for them.

The kernel is asked for these alone (sock_diag(7)): /proc/net/tcp lists every connection of the
machine, and reading it takes milliseconds where there are thousands. It is read where the kernel
does not answer.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTEN = "0A"
"""TCP_LISTEN in the column `st` of proc_pid_net(5); `inode` is the tenth column."""
_SOCK_DIAG = 4
"""NETLINK_SOCK_DIAG."""
_BY_FAMILY = 20
"""SOCK_DIAG_BY_FAMILY."""
_DUMP = 0x1 | 0x300
"""NLM_F_REQUEST and NLM_F_DUMP."""
_ERROR, _DONE = 2, 3
_LISTENING = 1 << 10
"""The bit of TCP_LISTEN."""
_HEAD = struct.Struct("=IHHII")
_REPLY_BYTES = 65_536
_SECONDS = 1.0


def inodes(port: int) -> list[str]:
    """The numbers of the sockets that listen on a port, of any address; sorted. Empty if there are
    none, or if this system does not say."""
    try:
        found = {inode for family in _families() for inode in _of_kernel(family, port)}
    except OSError:  # a sandbox may forbid it
        found = {inode for table in _TABLES for inode in _of_table(Path(table), port)}
    return sorted(found)


def _families() -> tuple[int, int]:
    return socket.AF_INET, socket.AF_INET6


def _of_kernel(family: int, port: int) -> Iterator[str]:
    """Raises `OSError` where it cannot be asked."""
    request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, _LISTENING)
    request += struct.pack("!HH", port, 0) + bytes(36) + b"\xff" * 8  # of any address and interface
    head = _HEAD.pack(_HEAD.size + len(request), _BY_FAMILY, _DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
        kernel.settimeout(_SECONDS)
        kernel.send(head + request)
        while True:
            for kind, message in _messages(kernel.recv(_REPLY_BYTES)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError("the kernel does not list sockets")
                (its_port,) = struct.unpack_from("!H", message, 4)
                (inode,) = struct.unpack_from("=I", message, 68)
                if its_port == port:
                    yield str(inode)


def _messages(reply: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEAD.size <= len(reply):
        length, kind, *_ = _HEAD.unpack_from(reply, at)
        yield kind, reply[at + _HEAD.size : at + length]
        at += (length + 3) & ~3


def _of_table(table: Path, port: int) -> Iterator[str]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:  # no /proc
        return
    for line in lines:
        columns = line.split()
        is_listener = len(columns) > 9 and columns[3] == _LISTEN
        if is_listener and int(columns[1].rpartition(":")[2], 16) == port:
            yield columns[9]
