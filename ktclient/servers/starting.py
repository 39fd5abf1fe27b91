"""Servers that `ktserver` is starting: a job may be submitted, and waits for them.

Loading takes minutes, and so does a restart after a crash. A submit during that time should neither
be refused nor, if it names no server, go to the embedded one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ktclient.servers.dialects import llamacpp, openai_compatible, sglang
from ktclient.servers.dialects.dialect import ServerFacts
from server_bundle.launch import registry, server_state
from server_bundle.launch.registry import Observed

_ON_THEIR_WAY = (server_state.STARTING, server_state.WAITING)


@dataclass(frozen=True)
class Coming:
    """A starting server, with the facts from its plan."""

    facts: ServerFacts
    why: str
    """A text: which server it is, and its stage."""


def at(servers: Path, url: str) -> Coming | None:
    """The starting server of this URL. `servers`: the folder of ktserver's servers."""
    found = (one for one in _all(servers) if registry.is_same_place(one.server.url, url))
    return next((_coming(one) for one in found), None)


def on_port(servers: Path, ports: tuple[int, ...]) -> Coming | None:
    """The starting server for the first of these ports on this machine."""
    found = (at(servers, f"http://127.0.0.1:{port}") for port in ports)
    return next((one for one in found if one is not None), None)


def crashed_on(servers: Path, ports: tuple[int, ...]) -> str | None:
    """A text about a ktserver server of one of these ports that has crashed; None without one."""
    for one in registry.all_of(servers):
        places = (f"http://127.0.0.1:{port}" for port in ports)
        if one.state == registry.CRASHED and any(
            registry.is_same_place(one.server.url, place) for place in places
        ):
            name = one.server.name
            return f"your server {name!r} has crashed: ktserver explain {name}"
    return None


def restarted_on(servers: Path, url: str) -> str | None:
    """The name of the server at this URL, if its supervisor lives and restarts it after a crash."""
    for one in registry.all_of(servers):
        is_restarted = one.is_kept and one.server.restart == server_state.ON_FAILURE
        if is_restarted and registry.is_same_place(one.server.url, url):
            return None if one.state == server_state.DRAINING else one.server.name
    return None


def running(servers: Path) -> dict[str, str]:
    """The URLs of all servers of ktserver that run or start, by name."""
    found = (one for one in registry.all_of(servers) if one.is_running)
    return {one.server.name: one.server.url for one in found}


def _all(servers: Path) -> list[Observed]:
    return [one for one in registry.all_of(servers) if one.state in _ON_THEIR_WAY]


def _coming(one: Observed) -> Coming:
    server = one.server
    dialect = sglang.NAME if server.engine.startswith("sglang") else openai_compatible.NAME
    if server.engine == llamacpp.NAME:
        dialect = llamacpp.NAME
    pool = server.pool or server.planned_pool
    what = (
        "waiting for its restart"
        if one.state == server_state.WAITING
        else f"starting ({server.stage})"
    )
    return Coming(
        ServerFacts(server.url, dialect, server.model, server.context, pool),
        f"your server {server.name!r} is {what}; the job waits for it",
    )
