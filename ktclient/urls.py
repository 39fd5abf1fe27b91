"""Parse server URLs as people write them, and compare them without a network request."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from jobs import known_secrets
from ktclient.errors import BadInput
from server_bundle import addresses


def root_of(url: str) -> str:
    """A server's root URL from user input: with or without /v1, with or without http://.

    Raises `BadInput`.
    """
    if "@" in url:
        raise BadInput("a server URL must not contain a key; set KTJOB_API_KEY instead")
    if "?" in url or "#" in url:  # the rest may be a key too, and no path can be appended
        raise BadInput(
            "a server URL must end with its path, without ? or #; set keys in KTJOB_API_KEY"
        )
    text = url.strip()
    if "://" not in text:
        text = f"http://{text}"
    text = text.rstrip("/")
    if not _is_address(text):
        raise BadInput(f"{url!r} is not a server URL; for example: http://127.0.0.1:40001")
    parts = urlsplit(text)
    # One spelling per server, so that it is one pool and has one key.
    return f"{parts.scheme}://{_place(parts)}{parts.path}".removesuffix("/v1").rstrip("/")


def is_unmistakable(url: str) -> bool:
    """Whether the text says that it is an address: by its scheme, a port or a dot. A word alone may
    be a host of the local network, or a name or a key in the wrong place."""
    try:
        parts = urlsplit(root_of(url))
    except BadInput:
        return False
    host = parts.hostname or ""
    named = "." in host or ":" in host or host == addresses.LOCALHOST
    return "://" in url or parts.port is not None or named


def _place(parts: SplitResult) -> str:
    """Host and port in one spelling. A zone id ("%25Eth0") is case-sensitive."""
    host = parts.netloc.rpartition("@")[2]
    if host.startswith("["):
        host = f"[{addresses.canonical(host[1:].partition(']')[0])}]"
        host = host if ":" in host else host[1:-1]
    else:
        host = addresses.canonical(host.partition(":")[0])
    return host if parts.port is None else f"{host}:{parts.port}"


def without_secrets(url: str) -> str:
    """Any text that stands where a URL is expected, to be shown: without user, password and
    query."""
    before, at, rest = url.rpartition("@")
    scheme = before.partition("://")[0] + "://" if "://" in before else ""
    shown = f"{scheme}{known_secrets.HIDDEN}@{rest}" if at else rest
    end = min((shown.find(one) for one in "?#" if one in shown), default=len(shown))
    return shown[: end + 1] + (known_secrets.HIDDEN if end + 1 < len(shown) else "")


def is_same(one: str, other: str) -> bool:
    """Whether both URLs mean one server, judged by their text. False if either is no valid URL."""
    try:
        return _comparable(one) == _comparable(other)
    except BadInput:
        return False


def by_number(url: str) -> str | None:
    """The same root URL with 127.0.0.1 for localhost: one server is one pool, and a job finds it by
    either name. None for any other host, and for https, whose certificate has the name."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname != addresses.LOCALHOST:
        return None
    port = "" if parts.port is None else f":{parts.port}"
    return f"http://{addresses.LOOPBACK}{port}{parts.path}"


def is_local(url: str) -> bool:
    """Whether the server is on this machine: then no proxy from the environment applies."""
    try:
        host = urlsplit(url if "://" in url else f"http://{url}").hostname or ""
    except ValueError:  # not a URL
        return False
    return addresses.is_here(host)


def _comparable(url: str) -> tuple[str, str | None, int | None, str]:
    parts = urlsplit(root_of(url))
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return parts.scheme, addresses.comparable(parts.hostname or ""), port, parts.path


def _is_address(url: str) -> bool:
    if not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
        host_is_valid = _is_host(parts.hostname or "")
        if parts.netloc.partition("]")[2].partition(":")[0]:  # text behind [::1]
            return False
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and host_is_valid and port_is_valid


def _is_host(name: str) -> bool:
    """Whether the name can be looked up; for "a..b" and the like the system raises an error of
    another kind. "http" is the scheme of a URL that was mistyped: "http:/x", "http//x". Raises
    `ValueError`."""
    name = addresses.canonical(name)
    if name in ("http", "https"):
        return False
    return all(0 < len(label) < 64 for label in name.removesuffix(".").split("."))
