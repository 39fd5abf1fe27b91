"""The socket that the gateway listens on."""

from __future__ import annotations

import errno
import socket

from ktclient.errors import BadInput
from ktclient.wording import reason

_BACKLOG = 2048
KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_PROBES = 60, 15, 4
SILENT_PEER_MILLISECONDS = 300_000
"""After so long without an acknowledgement of what was sent, a client is gone: its machine sleeps,
or its network is away. Its job goes on."""


def listen(host: str, port: int) -> socket.socket:
    """Listen at host and port (0: any free one). Raises `BadInput`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _refused(host, port, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _notice_gone_peers(listener)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise _refused(host, port, error) from error
    return listener


def _notice_gone_peers(listener: socket.socket) -> None:
    """For each connection that it accepts: Linux copies these options (tcp(7))."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS),
        (socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS),
        (socket.TCP_KEEPCNT, KEEPALIVE_PROBES),
        (socket.TCP_USER_TIMEOUT, SILENT_PEER_MILLISECONDS),
    ):
        listener.setsockopt(socket.IPPROTO_TCP, option, value)


def _refused(host: str, port: int, error: Exception) -> BadInput:
    why = reason(error) if isinstance(error, OSError) else str(error)
    cure = "choose another one with --port"
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        cure = f"another program listens there (`ss -tlnp 'sport = :{port}'` shows which). {cure}"
    elif isinstance(error, socket.gaierror) or _errno(error) == errno.EADDRNOTAVAIL:
        cure = "this machine does not have that address: choose another --host"
    elif _errno(error) == errno.EACCES:
        cure = "ports below 1,024 are for root. Choose another one with --port"
    return BadInput(f"cannot listen on {host} port {port}: {why}. {cure[0].upper()}{cure[1:]}")


def _errno(error: Exception) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def url_of(listener: socket.socket) -> str:
    """The root URL by which a client on this machine reaches it."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if listener.family == socket.AF_INET else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
