"""Serve the gateway in this process, until a signal ends it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from jobs.store.http.store import HttpStore
from ktclient.config.settings import Settings
from ktclient.errors import BadInput
from ktclient.gateway import app
from ktclient.gateway.access import connection, openness
from ktclient.gateway.access.rules import Rules
from ktclient.gateway.context import Gateway, Limits
from ktclient.gateway.store_threads import StoreThreads
from ktclient.gateway.watch import Watch
from ktclient.request.connection import keep_alive
from ktclient.wording import reason

GRACE_SECONDS = 3
"""How long open answers may still take after SIGTERM. Then they are cut: their clients know that
something is missing, and their jobs go on."""
_BACKLOG = 2048
_LOG = logging.getLogger("ktjob")


def run(
    settings: Settings,
    host: str,
    port: int,
    on_listening: Callable[[str], None],
    limits: Limits,
    rules: Rules,
) -> None:
    """Serve at host and port (0: any free one) until SIGTERM or SIGINT. `on_listening` gets the
    root URL once connections are accepted. Raises `BadInput` if the address cannot be used, or not
    without a key."""
    listener = _listener(host, port)
    state = settings.state.create()
    with HttpStore.open(state) as store:
        remark = openness.check(listener.getsockname()[0], store.api_keys(), rules)
    _Connection.most = connection.raise_file_limit()
    gateway = Gateway(settings, StoreThreads(state), Watch(state), limits, rules)
    config = uvicorn.Config(
        app.make(gateway),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        lifespan="on",
        # Its default believes what any process of this machine says of a client's address.
        proxy_headers=False,
        ws="none",
        http=_Connection,
        timeout_keep_alive=connection.IDLE_SECONDS,
    )
    with listener:
        on_listening(_url(listener))
        if remark:
            _LOG.warning(remark)
        uvicorn.Server(config).run(sockets=[listener])


class _Connection(connection.BoundedConnection, H11Protocol):
    """One connection: uvicorn's, with bounds."""


def _listener(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        keep_alive(listener)  # as accepted sockets inherit it: half-open ones end
        listener.listen(_BACKLOG)
    except OSError as error:
        raise BadInput(
            f"cannot listen on {host} port {port}: {reason(error)}. Stop what listens there, or "
            "choose another one with --port"
        ) from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
