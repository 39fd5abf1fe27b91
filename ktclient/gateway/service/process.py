"""The process of a gateway: its address, its lock, and then its server.

The address is taken and checked before anything large is imported: clients that come while the
rest loads are answered as soon as it has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ktclient.config.settings import Settings
from ktclient.errors import BadInput
from ktclient.gateway.limits import Limits
from ktclient.gateway.service import instance, listener
from ktclient.gateway.service.instance import Claim, Files


@dataclass(frozen=True)
class Wanted:
    """How to serve."""

    host: str
    port: int
    """0: any free one."""
    limits: Limits
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
    is_for_others: bool
    """Whether other machines can reach it."""


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
        place = Place(listener.url_of(bound), files.port, listener.is_for_others(bound))
        claim = Claim(files, place.url, "" if wanted.log is None else str(wanted.log))
        try:
            from ktclient.gateway.service import server

            server.serve(settings, wanted, bound, claim, lambda: on_answering(place))
        finally:
            claim.release()
