"""Which server a job goes to: the named one, else one that answers here, else the embedded one."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from ktclient.config import EMBEDDED, Settings
from ktclient.errors import EmbeddedNotInstalled, NoServer, Redirected, WrongAddress
from ktclient.servers.dialect import ServerFacts
from server_bundle import embedded

WELL_KNOWN_PORTS = (40001, 30000)
"""The deployment guide's port, and sglang's and `kt run`'s default."""
_CONNECT_SECONDS = 0.5


@dataclass(frozen=True)
class Target:
    """Where a job goes. `facts` is None for an embedded server that does not run yet."""

    server: str
    why: str
    facts: ServerFacts | None
    parallel: int | None
    """How many requests it may be given at once; None: as many as it says, else one."""

    @property
    def is_embedded(self) -> bool:
        return self.server == EMBEDDED

    @property
    def window(self) -> int | None:
        if self.facts is not None:
            return self.facts.window
        return embedded.WINDOW if self.is_embedded else None


def choose(settings: Settings, named: str | None, model: str | None) -> Target:
    """The server to use. Raises `NoServer` and its leaves, `Unauthorized`, `WrongAddress`."""
    server = named or settings.server
    if server == EMBEDDED:
        return _embedded(settings, model, "as asked")
    if server is not None:
        return _external(settings, server, model, "as asked" if named else "as configured")
    for port in WELL_KNOWN_PORTS:
        if _listens(port):
            try:
                why = f"it answers on port {port}"
                return _external(settings, f"http://127.0.0.1:{port}", model, why)
            except (NoServer, WrongAddress, Redirected):
                continue  # something else listens there
    ports = " or ".join(str(port) for port in WELL_KNOWN_PORTS)
    return _embedded(settings, model, f"no server is configured or answers on port {ports}")


def _external(settings: Settings, server: str, model: str | None, why: str) -> Target:
    from ktclient.servers import probe

    facts = probe.probe(probe.root_of(server), settings.api_key, model or settings.model)
    return Target(facts.url, why, facts, settings.parallel)


def _embedded(settings: Settings, model: str | None, why: str) -> Target:
    running = embedded.status(settings.state.server)
    if running is not None:
        facts = ServerFacts(running.url, "llama.cpp", model or running.model, running.window)
        return Target(EMBEDDED, why, facts, 1)
    if not embedded.is_installed():
        raise EmbeddedNotInstalled(
            f"no server: {why}, and the embedded server is not installed. Name one with "
            "--server URL (or KTJOB_SERVER), or: pip install 'ktjob[embedded]'"
        )
    return Target(EMBEDDED, why, None, 1)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
