"""What was said at the start about who may come: names, origins, a proxy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """The access options of `ktjob serve`."""

    hosts: frozenset[str] = frozenset()
    """Names besides the addresses that it listens on, lower-case, by which clients may call it:
    those of a proxy (`--allow-host`)."""
    origins: frozenset[str] = frozenset()
    """Web origins whose pages may use it, exactly as browsers send them (`--allow-origin`)."""
    is_behind_proxy: bool = False
    """Whether the last address in X-Forwarded-For is believed (`--behind-proxy`)."""
