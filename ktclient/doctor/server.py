"""Check the server, and the connection to it."""

from __future__ import annotations

from collections.abc import Iterator

from ktclient.config import Settings
from ktclient.doctor.finding import Finding, Severity, ok
from ktclient.doctor.machine import Machine
from ktclient.errors import KtjobError


def keepalive(_: Settings, __: Machine) -> Iterator[Finding]:
    from ktclient import http

    found = (
        f"a probe every {http.KEEPALIVE_INTERVAL_SECONDS} s after {http.KEEPALIVE_IDLE_SECONDS} s "
        f"of silence, closed after {http.SILENT_PEER_SECONDS} s; set by ktjob, not by sysctl"
    )
    yield ok("keepalive", found)


def server(settings: Settings, _: Machine) -> Iterator[Finding]:
    from ktclient.servers.choose import choose

    try:
        target = choose(settings, None, None)
    except KtjobError as error:
        yield Finding(Severity.WARN, "server", str(error))
        return
    facts = target.facts
    if facts is None:
        found = f"the embedded one, started with the first job: {target.why}"
    else:
        found = f"{facts.url} answers ({facts.dialect}, {facts.model}): {target.why}"
    yield ok("server", found)
