"""Servers that `ktserver` is starting: a job may be submitted, and waits for them.

Loading takes minutes, and so does a restart after a crash. A submit during that time should neither
be refused nor, if it names no server, go to the embedded one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ktclient.servers import plain, sglang
from ktclient.servers.dialect import ServerFacts
from server_bundle import kept, servers_of_ours
from server_bundle.servers_of_ours import Seen

_ON_THEIR_WAY = (kept.STARTING, kept.WAITING)


@dataclass(frozen=True)
class Coming:
    """A starting server, with the facts from its plan."""

    facts: ServerFacts
    why: str
    """A text: which server it is, and its stage."""


def at(servers: Path, url: str) -> Coming | None:
    """The starting server of this URL. `servers`: the folder of ktserver's servers."""
    found = (one for one in _all(servers) if servers_of_ours.is_same_place(one.server.url, url))
    return next((_coming(one) for one in found), None)


def on_port(servers: Path, ports: tuple[int, ...]) -> Coming | None:
    """The starting server for the first of these ports on this machine."""
    found = (at(servers, f"http://127.0.0.1:{port}") for port in ports)
    return next((one for one in found if one is not None), None)


def crashed_on(servers: Path, ports: tuple[int, ...]) -> str | None:
    """A text about a ktserver server of one of these ports that has crashed; None without one."""
    for one in servers_of_ours.all_of(servers):
        places = (f"http://127.0.0.1:{port}" for port in ports)
        if one.state == servers_of_ours.CRASHED and any(
            servers_of_ours.is_same_place(one.server.url, place) for place in places
        ):
            name = one.server.name
            return f"your server {name!r} has crashed: ktserver explain {name}"
    return None


def _all(servers: Path) -> list[Seen]:
    return [one for one in servers_of_ours.all_of(servers) if one.state in _ON_THEIR_WAY]


def _coming(one: Seen) -> Coming:
    server = one.server
    dialect = sglang.NAME if server.engine.startswith("sglang") else plain.NAME
    pool = server.pool or server.planned_pool
    what = "waiting for its restart" if one.state == kept.WAITING else f"starting ({server.stage})"
    return Coming(
        ServerFacts(server.url, dialect, server.model, server.context, pool),
        f"your server {server.name!r} is {what}; the job waits for it",
    )
