"""The HTTP server of a gateway, until a signal ends it."""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from jobs.processes import signals
from jobs.store.http.store import HttpStore
from ktclient.config.settings import Settings
from ktclient.gateway import app
from ktclient.gateway.access import connection, openness
from ktclient.gateway.context import Gateway, Limits
from ktclient.gateway.service import log
from ktclient.gateway.service.instance import Claim
from ktclient.gateway.service.log import Lines
from ktclient.gateway.service.options import Wanted
from ktclient.gateway.service.upkeep import Chores, Upkeep
from ktclient.gateway.store_threads import StoreThreads
from ktclient.gateway.watch import Watch

GRACE_SECONDS = 3
"""How long open answers may still take after SIGTERM. Then they are cut: their clients know that
something is missing, and their jobs go on."""
STOPPING = (signal.SIGINT, signal.SIGTERM)


def serve(
    settings: Settings,
    wanted: Wanted,
    bound: socket.socket,
    claim: Claim,
    on_answering: Callable[[str | None], None],
) -> None:
    """Serve at a socket that listens, until SIGTERM or SIGINT. `on_answering` gets a remark about
    who may use it; None where a key is needed.

    Raises `BadInput` if others could use it without a key, `StoreUnusable` if the store cannot be
    opened or made now.
    """
    _Connection.most = connection.raise_file_limit()
    signals.explain_on_request()
    state = settings.state
    with HttpStore.open(state) as store:
        remark = openness.check(bound.getsockname()[0], store.api_keys(), wanted.rules)
    watch, lines = Watch(state), Lines()
    gateway = Gateway(
        settings, StoreThreads(state), watch, Limits(**wanted.limits), rules=wanted.rules
    )
    log.attach(lines, is_quiet=wanted.is_quiet)
    upkeep = Upkeep(state, watch, Chores(claim.renew, claim.note, claim.files.log))

    def begin() -> None:
        gc.freeze()  # modules and routes, which stay: looking for garbage there is a long pause
        on_answering(remark)
        upkeep.start()

    config = uvicorn.Config(
        app.make(gateway),
        loop="asyncio",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # Its default believes what any process of this machine says of a client's address.
        proxy_headers=False,
        http=_Connection,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=connection.IDLE_SECONDS,
        lifespan="on",
    )
    try:
        _Server(config, begin, lambda: lines.say(_stopping(watch))).run(sockets=[bound])
    finally:
        upkeep.stop()
        lines.close()


class _Connection(connection.BoundedConnection, H11Protocol):
    """One connection: uvicorn's, with bounds."""


def _stopping(watch: Watch) -> str:
    return (
        f"stopping; clients that wait: {watch.watchers:,}. Answers that are not complete in "
        f"{GRACE_SECONDS} s are cut; their jobs continue. To stop immediately: Ctrl-C again"
    )


class _Server(uvicorn.Server):
    """Says when it answers, and ends by a signal as by a request: with exit code 0."""

    def __init__(
        self, config: uvicorn.Config, on_answering: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_answering, self._on_stop = on_answering, on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_answering()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Without uvicorn's end, which raises the signal again."""
        before = {one: signal.signal(one, self.handle_exit) for one in STOPPING}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first one stops in good order, another one at once."""
        self.force_exit = self.should_exit
        self.should_exit = True
