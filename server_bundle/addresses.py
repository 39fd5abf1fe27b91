"""Which machine a URL's host means, whatever its spelling.

A key, a proxy and a running server are all decided by the host. The system's resolver accepts many
spellings of one address (127.1, 0x7f.1, ::ffff:127.0.0.1), and HTTP clients map others to it
(ideographic dots, IDNA), so both the request and every comparison use the one spelling made here.
"""

from __future__ import annotations

import ipaddress
import re
import socket

LOCALHOST, LOOPBACK = "localhost", "127.0.0.1"
_NAME = re.compile(r"[a-z0-9._-]*|[0-9a-f:.]*")
"""Anything else is read in different ways: a backslash ends the host for some clients."""


def canonical(host: str) -> str:
    """The host of a URL (without brackets) in its one spelling: lower case, IDNA, and numbers as
    `inet_aton` and `inet_pton` read them. Raises `ValueError` for one that IDNA does not allow."""
    name, percent, zone = host.partition("%")
    if not name.isascii():
        name = _by_idna(name)
    name = name.lower()
    if name.removesuffix(".") in (LOCALHOST, LOOPBACK):
        name = name.removesuffix(".")
    if not _NAME.fullmatch(name) or (percent and ":" not in name):
        raise ValueError(f"{host!r} is no host name")
    return _number(name) + percent + zone


def comparable(host: str) -> str:
    """The same for a comparison: "localhost" is 127.0.0.1, and so is 0.0.0.0, which servers print
    as their address; a full domain name is the same with and without the dot of the root. ::1 is
    another address: another program may listen there."""
    name = canonical(host)
    if name in (LOCALHOST, "0.0.0.0"):
        return LOOPBACK
    if name == "::":
        return "::1"
    bare = name.removesuffix(".")
    return bare if "." in bare else name


def is_here(host: str) -> bool:
    """Whether the host is this machine by its loopback or unspecified address, or localhost."""
    try:
        name = canonical(host)
    except ValueError:
        return False
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name == LOCALHOST
    return address.is_loopback or address.is_unspecified


def _by_idna(name: str) -> str:
    """As httpx2 does it: Python's own codec knows only IDNA 2003, by which straße.de is another
    name. A client without that library (ktserver alone) has only the codec."""
    try:
        import idna
    except ImportError:
        return name.encode("idna").decode("ascii")
    return idna.encode(name.lower()).decode("ascii")  # IDNAError is a UnicodeError


def _number(name: str) -> str:
    """An address of any spelling, as it is usually written; a name unchanged."""
    if ":" in name:
        address = ipaddress.IPv6Address(name)
        return str(address.ipv4_mapped or address)
    last = name.removesuffix(".").rpartition(".")[2]
    if last[:1].isdigit():
        try:
            return socket.inet_ntoa(socket.inet_aton(name.removesuffix(".")))
        except OSError:  # a name whose last label begins with a digit
            return name
    return name
