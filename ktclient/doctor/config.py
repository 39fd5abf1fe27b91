"""The checks of `ktjob config check`: each server, its key, and who may read the key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jobs.errors import KtjobError
from ktclient.config import keys
from ktclient.config.servers import Server
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.doctor.finding import Finding, Severity, fail, ok


def examine(settings: Settings) -> Iterator[Finding]:
    """Yields findings as they are made: a server may take seconds to answer."""
    file = settings.config_file
    yield ok(
        "file", f"{file} is valid" if file.exists() else f"{file} does not exist: using defaults"
    )
    meant = settings.meant(None)
    if meant is None:
        yield ok(
            "server",
            "none is configured: using one that answers on this machine, or the embedded server",
        )
    elif meant.name not in settings.servers:
        yield from _examine(meant, "server", settings)
    for name, server in settings.servers.items():
        yield from _examine(server, f"servers.{name}", settings)


def _examine(server: Server, about: str, settings: Settings) -> Iterator[Finding]:
    if server.key is not None and server.key.kind == keys.FILE:
        yield from _examine_file(Path(server.key.place), about)
    if server.url == EMBEDDED:
        yield ok(about, "the embedded server")
        return
    try:
        yield _probed(server, about, settings)
    except KtjobError as error:
        yield Finding(Severity.FAIL, about, str(error))


def _examine_file(path: Path, about: str) -> Iterator[Finding]:
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # reported when the key is read
    if mode & 0o077:
        yield fail(about, f"other users may read the key in {path}", f"chmod 600 {path}")


def _probed(server: Server, about: str, settings: Settings) -> Finding:
    from ktclient import urls
    from ktclient.servers import probe

    root = urls.root_of(server.url or "")
    key, model = settings.key_for(root), settings.model_of(server)
    facts = probe.probe(root, key, model)
    names = probe.names(root, key) if facts.models else ()
    if model is not None and names and model not in names:
        known = ", ".join(names)
        return fail(about, f"{root} has no model {model!r}", f"it serves: {known}")
    window = f", window {facts.window:,} tokens" if facts.window else ""
    accepted = ", key accepted" if key else ", no key"
    return ok(about, f"{root} answers ({facts.dialect}, {facts.model}{window}{accepted})")
