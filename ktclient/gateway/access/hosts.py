"""By which names it may be called, and from which web origins.

A page of any site can make its visitor's browser send requests to this machine. It cannot forge the
headers Host, Origin and Sec-Fetch-Site: a name that its own DNS points here (DNS rebinding) shows
in Host, and a request from its page (CSRF) in the other two.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from ktclient.errors import BadInput
from ktclient.gateway.access.asgi import Scope, header_of, headers_of
from ktclient.gateway.access.rules import Rules
from ktclient.gateway.wire.errors import PERMISSION, ApiError
from ktclient.wording import quote

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253})(?::([0-9]{1,5}))?")
_NAME = re.compile(r"[a-z0-9_.-]{1,253}")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]{0,30}://[^/\s?#@,\"\\]{1,300}")
_FOREIGN = ("cross-site", "same-site")
"""Other ports of this machine are the same site, and may be another user's."""


def check_host(scope: Scope, rules: Rules) -> None:
    """Raise `ApiError` unless the request calls this gateway by a name of its own."""
    given = headers_of(scope, "host")
    if len(given) != 1 or not (found := _AUTHORITY.fullmatch(given[0])):
        raise ApiError(400, "the request needs one Host header: a name or an address and a port")
    name = found[1].strip("[]").lower().rstrip(".")
    if not _is_own(name, scope, rules):
        raise ApiError(
            421,
            f"this gateway does not answer to the name {quote(name)}. If it is a proxy's or the "
            f"machine's, start it with: ktjob serve --allow-host {name}",
            PERMISSION,
            "unknown_host",
        )


def _is_own(name: str, scope: Scope, rules: Rules) -> bool:
    if name in rules.hosts or name == "localhost" or name.endswith(".localhost"):
        return True
    here = _address((scope.get("server") or ("",))[0])
    address = _address(name)
    if address is not None:
        return address.is_loopback or address == here
    is_shared = here is not None and not here.is_loopback
    return is_shared and name == socket.gethostname().lower()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def own_origin(scope: Scope) -> bool:
    """Whether the request does not come from a page of another origin. The scheme is not
    compared: a proxy may have taken off TLS."""
    origin = header_of(scope, "origin")
    if origin is None:
        return header_of(scope, "sec-fetch-site") not in _FOREIGN
    scheme, _, authority = origin.lower().partition("://")
    host = (header_of(scope, "host") or "").lower()
    return scheme in ("http", "https") and _with_port(authority, scheme) in (
        _with_port(host, "http"),
        _with_port(host, "https"),
    )


def _with_port(authority: str, scheme: str) -> str:
    found = _AUTHORITY.fullmatch(authority)
    if not found:
        return f"{scheme} {authority}"
    return f"{found[1].rstrip('.')}:{found[2] or (443 if scheme == 'https' else 80)}"


def allowed_origin(scope: Scope, rules: Rules) -> str | None:
    """The foreign origin of a request, if its pages may use this gateway."""
    origin = header_of(scope, "origin")
    return origin if origin in rules.origins else None


def check_origin(scope: Scope, rules: Rules) -> None:
    """Raise `ApiError` for a request from a page of another site. Following a link to a page here
    is no such request."""
    if own_origin(scope) or allowed_origin(scope, rules) is not None or _is_link(scope):
        return
    origin = header_of(scope, "origin")
    said = quote(origin) if origin else "of another site"
    raise ApiError(
        403,
        f"web pages {said if origin is None else 'of ' + said} may not use this gateway. If they "
        f"shall, start it with: ktjob serve --allow-origin {said if origin else 'URL'}",
        PERMISSION,
        "foreign_origin",
    )


def _is_link(scope: Scope) -> bool:
    return (
        scope["method"] in ("GET", "HEAD")
        and not scope["path"].startswith("/v1")
        and header_of(scope, "origin") is None
        and header_of(scope, "sec-fetch-mode") == "navigate"
        and header_of(scope, "sec-fetch-dest") == "document"
    )


def host_name(given: str) -> str:
    """A name or an address that `--allow-host` gives, as it is compared. Raises `BadInput`."""
    name = given.strip().strip("[]").lower().rstrip(".")
    if not _NAME.fullmatch(name) and _address(name) is None:
        raise BadInput(f"--allow-host {given}: give a name without scheme and port: llm.example")
    return name


def origin_name(given: str) -> str:
    """An origin that `--allow-origin` gives, as browsers send it. Raises `BadInput`."""
    origin = given.strip().rstrip("/").lower()
    wrong = BadInput(
        f"--allow-origin {given}: give the address that the browser shows, without a path: "
        "https://chat.example"
    )
    if not _ORIGIN.fullmatch(origin):
        raise wrong
    try:
        parts = urlsplit(origin)
        is_default = parts.port == {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        raise wrong from None
    return origin.rpartition(":")[0] if parts.port and is_default else origin
