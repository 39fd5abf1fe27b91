"""Which server gets which request of a batch that may have any: the same each time it is asked, so
that a conductor that was killed stores no request for another server. Pure.
"""

from __future__ import annotations

from ktclient.batch.spec import BatchSpec, Request

_TOGETHER = 8
"""Requests that begin alike stay with one server, whose cache serves them, until it has so many of
them more than another: to read the beginning there too takes less time then."""


def others(spec: BatchSpec, request: Request, server: str) -> tuple[str, ...]:
    """The servers that may take this request from `server` before it is sent."""
    if request.model not in (None, spec.others_serve):
        return ()
    return tuple(one for one in (spec.server, *spec.others) if one != server) if spec.others else ()


class Shares:
    """The requests in their order, each for the server with the fewest tokens so far."""

    def __init__(self, spec: BatchSpec) -> None:
        self._spec = spec
        self._loads = dict.fromkeys((spec.server, *spec.shares), 0)
        self._homes: dict[str, str] = {}

    def of(self, request: Request) -> str:
        """The URL of its server."""
        if not others(self._spec, request, self._spec.server):
            return self._spec.server
        best = min(self._loads, key=lambda one: self._loads[one])
        home = self._homes.get(request.prefix, best) if request.prefix else best
        if self._loads[home] > self._loads[best] + _TOGETHER * request.weight:
            home = best
        self._homes[request.prefix] = home
        self._loads[home] += request.weight
        return home
