"""Check the server, and the connection to it."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.errors import KtjobError
from ktclient.config.settings import Settings
from ktclient.doctor.finding import Finding, Severity, ok
from ktclient.doctor.machine import Machine


def keepalive(_: Settings, __: Machine) -> Iterator[Finding]:
    from ktclient.request import connection

    found = (
        f"TCP keepalive every {connection.KEEPALIVE_INTERVAL_SECONDS} s after "
        f"{connection.KEEPALIVE_IDLE_SECONDS} s of silence, "
        f"the connection is given up after {connection.SILENT_PEER_SECONDS} s; set by ktjob"
    )
    yield ok("keepalive", found)


def server(settings: Settings, _: Machine) -> Iterator[Finding]:
    from ktclient.servers.selection import choose

    try:
        target = choose(settings, None, None)
    except KtjobError as error:
        yield Finding(Severity.WARN, "server", str(error))
        return
    facts = target.facts
    if facts is None:
        found = f"the embedded server; it starts with your first job: {target.why}"
    else:
        found = f"{facts.url} answers ({facts.dialect}, {facts.model}): {target.why}"
    yield ok("server", found)
