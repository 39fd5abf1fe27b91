"""Select a job's server: the named one, else one that answers here, else the embedded one."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jobs import extras
from ktclient import urls
from ktclient.config.servers import ANY, Server
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.errors import (
    BadInput,
    ConnectionRefused,
    HostUnknown,
    Redirected,
    ReplyTooLarge,
    UpstreamDown,
    WrongAddress,
)
from ktclient.servers.dialects.dialect import ServerFacts
from server_bundle.embedded import server as embedded
from server_bundle.errors import EmbeddedNotInstalled, NoServer

if TYPE_CHECKING:  # only needed if nothing answers
    from ktclient.servers.starting import Coming

WELL_KNOWN_PORTS = (40001, 30000)
"""The deployment guide's port, and sglang's and `kt run`'s default."""
EMBEDDED_MODEL = embedded.MODEL
"""The model of the embedded server, whose jobs name none."""
_CONNECT_SECONDS = 0.5


@dataclass(frozen=True)
class Target:
    """The selected server. `facts` is None for an embedded server that is not running yet."""

    server: str
    why: str
    facts: ServerFacts | None
    parallel: int | None
    """How many simultaneous requests it may be given; None: as many as it reports, else one."""
    model: str | None = None
    """The requested model, by option or configuration."""
    others: tuple[str, ...] = ()
    """Servers that may take the job instead, before a request was sent: their URLs."""

    @property
    def chosen_model(self) -> str | None:
        """The model that the job gets: the requested one, else the one that was found there. None
        for the embedded server, whose model is whatever this version brings."""
        if self.model is not None or self.is_embedded or self.facts is None:
            return self.model
        return self.facts.model or None

    @property
    def is_embedded(self) -> bool:
        return self.server == EMBEDDED

    @property
    def window(self) -> int | None:
        if self.facts is not None:
            return self.facts.window
        return embedded.WINDOW if self.is_embedded else None


@dataclass(frozen=True)
class Place:
    """Where a server may be."""

    named: str | None
    """What selects it, as `--server` takes it; None: it is selected where nothing is named."""
    url: str
    """As configured, or `EMBEDDED`."""
    label: str
    """What people call it."""


def places(settings: Settings) -> list[Place]:
    """All servers that a request may name, each once, the one that is selected by default first:
    the configured ones, else what listens on the well-known ports, and the embedded one where it
    may be selected. Queries nothing."""
    found = _default_places(settings)
    found += [Place(name, one.url or "", name) for name, one in settings.servers.items()]
    firsts: list[Place] = []
    for place in found:
        if not any(one.url == place.url or urls.is_same(one.url, place.url) for one in firsts):
            firsts.append(place)
    return firsts


def _default_places(settings: Settings) -> list[Place]:
    server = settings.meant(None)
    if settings.is_any and settings.servers:
        return []
    if server is None:
        ports = (f"http://127.0.0.1:{port}" for port in WELL_KNOWN_PORTS)
        found = [Place(url, url, url.partition("://")[2]) for url in ports]
        return [*found, Place(EMBEDDED, EMBEDDED, EMBEDDED)]
    url = server.url or ""
    shown = urls.without_secrets(url).partition("://")[2] or url
    return [Place(None, url, server.name or shown)]


def embedded_facts(settings: Settings) -> ServerFacts | None:
    """What the embedded server serves, whether it runs now or not; None if it is not installed."""
    running = embedded.status(settings.state.server)
    if running is not None:
        return ServerFacts(
            running.url, "llama.cpp", running.model, running.window, is_embedded=True
        )
    if not embedded.is_installed():
        return None
    return ServerFacts("", "llama.cpp", embedded.MODEL, embedded.WINDOW, is_embedded=True)


def choose(
    settings: Settings,
    named: str | None,
    model: str | None,
    seen: str | None = None,
    named_by: str | None = None,
) -> Target:
    """The server to use, and its model: `model` if one is asked for, else `seen`, which an earlier
    submit chose, if it is still listed, else the first for chats. `named_by`: what named it, for
    messages; None: the option. Raises `NoServer` and its leaves, `ModelUnknown`, `Unauthorized`,
    `WrongAddress`, and `BadInput` for `any`."""
    if named == ANY or (named is None and settings.is_any):
        raise BadInput(
            f"a server is needed here, and {ANY} stands for several. Name one with --server; this "
            "lists them: ktjob servers"
        )
    server = settings.meant(named)
    if server is not None and server.url == EMBEDDED:
        return _embedded(settings, model, _source(settings, named, named_by))
    if server is not None:
        return _external(settings, server, model, _source(settings, named, named_by), seen)
    for port in WELL_KNOWN_PORTS:
        if _listens(port):
            try:
                why = f"it answers on port {port}"
                here = settings.of_url(f"http://127.0.0.1:{port}")
                return _external(settings, here, model, why)
            except UpstreamDown:
                raise  # it is a server's gateway: not a reason to take the embedded one
            except (NoServer, WrongAddress, ReplyTooLarge, Redirected):
                continue  # something else listens there
    from ktclient.servers import starting

    soon = starting.on_port(settings.state.servers, WELL_KNOWN_PORTS)
    if soon is not None:
        here = settings.of_url(soon.facts.url)
        asked = model or settings.model_of(here)
        return _awaited(soon, "no other is named", here, asked)
    ports = " or ".join(str(port) for port in WELL_KNOWN_PORTS)
    crashed = starting.crashed_on(settings.state.servers, WELL_KNOWN_PORTS)
    why = f"no server is configured, and none answers on port {ports}"
    return _embedded(settings, model, f"{why}; {crashed}" if crashed else why)


def _source(settings: Settings, named: str | None, named_by: str | None) -> str:
    """Which setting named the server."""
    if named:
        return named_by or "set with --server"
    return "set by KTJOB_SERVER" if settings.environ.get("KTJOB_SERVER") else "set in config.toml"


def _external(
    settings: Settings, server: Server, model: str | None, why: str, seen: str | None = None
) -> Target:
    from ktclient.servers import probe

    assert server.url is not None
    root, asked = canonical_root(server.url), model or settings.model_of(server)
    try:
        facts = probe.probe(root, settings.key_for(root), asked, seen)
    except HostUnknown as error:
        if server.name in settings.servers:
            raise
        known = ", ".join(settings.servers)
        if known:
            raise HostUnknown(f"{error} Servers in config.toml: {known}") from None
        if set(server.url) & set(".:/"):  # a URL or an address
            raise
        raise HostUnknown(
            f"{error} If {server.url} is the name of a server: config.toml has no servers yet; "
            "add one with: ktjob config edit"
        ) from None
    except ConnectionRefused:
        from ktclient.servers import starting

        soon = starting.at(settings.state.servers, root)
        if soon is None:
            raise
        return _awaited(soon, why, server, asked)
    return Target(facts.url, why, facts, server.parallel, asked)


def canonical_root(url: str) -> str:
    """The root URL; localhost becomes 127.0.0.1 if the server listens there: some listen on ::1
    only."""
    root = urls.root_of(url)
    numbered = urls.by_number(root)
    return numbered if numbered and _listens(urlsplit(numbered).port or 80) else root


def _awaited(soon: Coming, why: str, server: Server, model: str | None) -> Target:
    """The target for a server that ktserver is starting."""
    facts = replace(soon.facts, model=model or soon.facts.model)
    return Target(facts.url, f"{why}; {soon.why}", facts, server.parallel, model)


def _embedded(settings: Settings, model: str | None, why: str) -> Target:
    asked = model or settings.model_of(settings.of_url(EMBEDDED))
    running = embedded.status(settings.state.server)
    if running is not None:
        name = model or running.model
        facts = ServerFacts(running.url, "llama.cpp", name, running.window, is_embedded=True)
        return Target(EMBEDDED, why, facts, 1, asked)
    if not embedded.is_installed():
        raise EmbeddedNotInstalled(
            f"no server: {why}, and the embedded server is not installed. Choose one with "
            f"--server URL (or KTJOB_SERVER), or: {extras.command('embedded')}"
        )
    return Target(EMBEDDED, why, None, 1, asked)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
