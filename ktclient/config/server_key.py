"""Which API key is sent to a server, and from where it comes. Keys themselves: keys.py."""

from __future__ import annotations

from collections.abc import Mapping

from ktclient.config import keys
from ktclient.config.servers import Server

VARIABLE = "KTJOB_API_KEY"
"""The key for whichever server is meant, unless the server has one of its own."""


def choose(
    server: Server, environ: Mapping[str, str], lent: str | None, *, is_named: bool
) -> str | None:
    """The key that may be sent to a server: its own and no other's; KTJOB_API_KEY where it has
    none. `is_named`: a table `[servers.NAME]`, whose own key goes before the environment's.
    Raises `BadSetting`."""
    if is_named and server.key is not None:
        return own(server, environ, lent)
    return of_environment(environ, lent) or own(server, environ, lent)


def borrowed(
    server: Server, environ: Mapping[str, str], lent: str | None, *, is_named: bool
) -> str | None:
    """The same key, if only the environment of this process holds it; else None."""
    has_own = is_named and server.key is not None
    if not has_own and (key := of_environment(environ, lent)):
        return key
    is_borrowed = server.key is not None and server.key.kind == keys.ENVIRONMENT
    return own(server, environ, lent) if is_borrowed else None


def of_environment(environ: Mapping[str, str], lent: str | None) -> str | None:
    """The key for any server. Raises `BadSetting` for one that cannot be sent."""
    key = lent or environ.get(VARIABLE)
    return keys.usable(key, VARIABLE) if key else None


def own(server: Server, environ: Mapping[str, str], lent: str | None) -> str | None:
    """The server's own key, from the source that its table names. Raises `BadSetting`."""
    if server.key is None:
        return None
    if server.key.kind == keys.ENVIRONMENT and lent is not None:
        return keys.usable(lent, server.key.said_by)
    return server.key.read(environ)
