"""Servers that `ktserver` is starting right now: a job may be handed over, and waits for them.

Loading takes minutes, and so does a restart after a crash. Who submits meanwhile should neither be
turned away nor, having named no server, be answered by the embedded one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ktclient.servers.dialects import openai_compatible, sglang
from ktclient.servers.dialects.dialect import ServerFacts
from server_bundle.launch import registry, server_state
from server_bundle.launch.registry import Observed

_ON_THEIR_WAY = (server_state.STARTING, server_state.WAITING)


@dataclass(frozen=True)
class Coming:
    """One of them, with what its plan says of it."""

    facts: ServerFacts
    why: str
    """In words: which it is, and how far."""


def at(servers: Path, url: str) -> Coming | None:
    """The one that will listen at this URL. `servers`: where our servers have their folders."""
    found = (one for one in _all(servers) if registry.is_same_place(one.server.url, url))
    return next((_coming(one) for one in found), None)


def on_port(servers: Path, ports: tuple[int, ...]) -> Coming | None:
    """The one that will listen on the first of these ports of this machine."""
    found = (at(servers, f"http://127.0.0.1:{port}") for port in ports)
    return next((one for one in found if one is not None), None)


def crashed_on(servers: Path, ports: tuple[int, ...]) -> str | None:
    """In words: which of ours should listen on one of these ports, and has crashed."""
    for one in registry.all_of(servers):
        places = (f"http://127.0.0.1:{port}" for port in ports)
        if one.state == registry.CRASHED and any(
            registry.is_same_place(one.server.url, place) for place in places
        ):
            name = one.server.name
            return f"your server {name!r} has crashed: ktserver explain {name}"
    return None


def _all(servers: Path) -> list[Observed]:
    return [one for one in registry.all_of(servers) if one.state in _ON_THEIR_WAY]


def _coming(one: Observed) -> Coming:
    server = one.server
    dialect = sglang.NAME if server.engine.startswith("sglang") else openai_compatible.NAME
    pool = server.pool or server.planned_pool
    what = (
        "to be started again" if one.state == server_state.WAITING else f"starting ({server.stage})"
    )
    return Coming(
        ServerFacts(server.url, dialect, server.model, server.context, pool),
        f"your server {server.name!r} is {what}, and the job waits for it",
    )
