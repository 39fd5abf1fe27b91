"""The checks of `ktjob config check`: each server, its key, and who may read the key."""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from jobs.errors import KtjobError
from jobs.known_secrets import hide_shapes
from ktclient.config import keys
from ktclient.config.servers import Server
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.doctor.finding import Finding, Severity, fail, ok

_MAY = ((0o044, "read"), (0o022, "write"))
_SECRETS = re.compile(
    r"^\s*(\[notify\]|notify\.|api_key\s*=\s*(?![\"']keyring[\"']))", re.MULTILINE
)
"""Notifications' addresses hold tokens; a key is refused here, but may have been written."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Yields findings as they are made: a server may take seconds to answer."""
    file = settings.config_file
    yield ok(
        "file", f"{file} is valid" if file.exists() else f"{file} does not exist: using defaults"
    )
    with contextlib.suppress(OSError, RuntimeError):  # a circle of links
        written = file.resolve()
        for one in (file, written.with_name(f"{written.name}.old")):
            yield from _examine_settings(one)
    yield from _examine_folder(file)
    meant = settings.meant(None)
    if settings.is_any:
        yield ok("server", "any: the best of all servers for each request")
    elif meant is None:
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
        key_file = Path(server.key.place).expanduser()
        yield from _examine_key(key_file, about)
        yield from _examine_folder(key_file, about)
    if server.url == EMBEDDED:
        yield ok(about, "the embedded server")
        return
    try:
        yield _probed(server, about, settings)
    except KtjobError as error:
        yield Finding(Severity.FAIL, about, str(error))


def _examine_settings(path: Path) -> Iterator[Finding]:
    """A configuration file that others may read matters if it holds secrets; one that they may
    write decides to which server documents and keys go."""
    mode = _mode(path)
    if mode & 0o077:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        is_grave = bool(mode & 0o022 or _SECRETS.search(text)) or hide_shapes(text) != text
        severity = Severity.FAIL if is_grave else Severity.WARN
        yield Finding(
            severity, "file", f"other users may {_what(mode)} {path}", f"chmod 600 {path}"
        )


def _examine_key(path: Path, about: str) -> Iterator[Finding]:
    if mode := _mode(path) & 0o077:
        found = f"other users may {_what(mode)} the key in {path}"
        yield fail(about, found, f"chmod 600 {path}")


def _mode(path: Path) -> int:
    """0 if it cannot be seen, which is reported when it is read. The folder's mode does not count
    here: it may be opened one day, and a copy of the file keeps the file's."""
    try:
        found = path.stat().st_mode
    except OSError:
        return 0
    return stat.S_IMODE(found) if stat.S_ISREG(found) else 0


def _what(mode: int) -> str:
    return " and ".join(word for bits, word in _MAY if mode & bits) or "run"


def _examine_folder(path: Path, about: str = "file") -> Iterator[Finding]:
    """Whoever may write to a folder may put another file in the place of one there."""
    with contextlib.suppress(OSError):
        folder = path.resolve().parent
        mode = folder.stat().st_mode
        if mode & 0o022 and not mode & stat.S_ISVTX:
            yield fail(
                about, f"other users may replace the files in {folder}", f"chmod go-w {folder}"
            )


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
