"""How many tries without a valid key one address has in a minute."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from ktclient.gateway.access.asgi import Scope, headers_of

TRIES, WINDOW_SECONDS = 20, 60.0
MOST_ADDRESSES = 10_000
"""In the table. Then those whose minute began first are forgotten."""


class Tries:
    """Failed tries by address. Its size is bounded, however many addresses try."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._table: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def note(self, address: str) -> float:
        """Count one failed try. Returns the seconds that this address has to wait for the next
        one; 0 while it may go on."""
        now = self._now()
        start, count = self._table.get(address, (now, 0))
        if now - start >= WINDOW_SECONDS:
            start, count = now, 0
            self._table.pop(address, None)
        self._table[address] = (start, min(count + 1, TRIES + 1))
        while len(self._table) > MOST_ADDRESSES:
            self._table.popitem(last=False)
        return 0.0 if count < TRIES else start + WINDOW_SECONDS - now


def address_of(scope: Scope, is_behind_proxy: bool) -> str:
    """Who tries: the peer, or whom the proxy names last. Of IPv6 the network: a client has 2**64
    addresses there."""
    client = scope.get("client") or ("", 0)
    given = str(client[0])
    if is_behind_proxy and (named := headers_of(scope, "x-forwarded-for")):
        given = named[-1].rpartition(",")[2].strip()
    try:
        found = ipaddress.ip_address(given.partition("%")[0])
    except ValueError:
        return given[:64]
    found = getattr(found, "ipv4_mapped", None) or found
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((int(found), 64), strict=False))
