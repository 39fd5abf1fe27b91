"""The process of a gateway: its address, its lock, and then its server.

The address is taken and checked before anything large is imported: clients that come while the
rest loads are answered as soon as it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ktclient.config.settings import Settings
from ktclient.errors import BadInput
from ktclient.gateway.access.rules import Rules
from ktclient.gateway.service import instance, listener
from ktclient.gateway.service.instance import Claim, Files


@dataclass(frozen=True)
class Wanted:
    """How to serve."""

    host: str
    port: int
    """0: any free one."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `gateway.context.Limits` that are not to be as usual."""
    rules: Rules = field(default_factory=Rules)
    is_quiet: bool = False
    """No line per request."""
    log: Path | None = None
    """The log to which stderr goes, where that is a file of the state directory."""


@dataclass(frozen=True)
class Place:
    """Where a gateway accepts connections."""

    url: str
    """Its root, as a client on this machine reaches it."""
    port: int
    remark: str | None
    """Who may use it; None where a key is needed."""


def run(settings: Settings, wanted: Wanted, on_answering: Callable[[Place], None]) -> None:
    """Serve until SIGTERM or SIGINT. `on_answering` is called once requests are answered.

    Raises `BadInput` if the address cannot be used, or a gateway of this state directory uses its
    port; `StoreUnusable`.
    """
    state = settings.state.create()
    try:
        bound = listener.listen(wanted.host, wanted.port)
    except BadInput:
        if instance.of_port(state, wanted.port) is None:
            raise
        raise instance.taken(Files(state, wanted.port)) from None
    with bound:
        files = Files(state, listener.port_of(bound))
        url = listener.url_of(bound)
        claim = Claim(files, url, "" if wanted.log is None else str(wanted.log))
        try:
            from ktclient.gateway.service import server

            def answering(remark: str | None) -> None:
                on_answering(Place(url, files.port, remark))

            server.serve(settings, wanted, bound, claim, answering)
        finally:
            claim.release()
