"""Whether a gateway may start at an address: others than this machine need keys."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from jobs.store.http.values import ApiKey
from ktclient.errors import BadInput
from ktclient.gateway.access.rules import Rules


def check(address: str, keys: Sequence[ApiKey], rules: Rules) -> str | None:
    """What to print at the start; None where every request needs a key. `address`: the IP address
    to listen on. Raises `BadInput` where others could send requests without a key."""
    if keys:
        return None
    if not is_loopback(address) or rules.is_behind_proxy:
        reach = "from other machines" if not is_loopback(address) else "through its proxy"
        raise BadInput(
            f"at {address} the gateway would take requests {reach} without a key: others could "
            "read your jobs and send new ones. Make a key first: ktjob serve keys add NAME"
        )
    return (
        "there are no keys: every user and program of this machine may use it. To change that: "
        "ktjob serve keys add NAME"
    )


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback
