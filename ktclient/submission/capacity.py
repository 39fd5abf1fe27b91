"""How many requests and tokens a server may be given simultaneously."""

from __future__ import annotations

from jobs.model import Capacity
from jobs.store.store import Store
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.selection import Target


def of(store: Store, target: Target) -> Capacity:
    """How much the server may be given simultaneously: the configured number, else what it
    reported, else one request. A busy server may not have reported it this time, but may have
    before."""
    facts = target.facts
    known = store.capacities().get(target.server, Capacity()) if _is_unknown(facts) else Capacity()
    if facts is None or known.tokens is not None:
        return Capacity(known.tokens, target.parallel or known.slots or 1, known.affinity)
    slots = target.parallel or facts.max_running or 1
    return Capacity(facts.pool, slots, bool(facts.has_prefix_cache))


def _is_unknown(facts: ServerFacts | None) -> bool:
    return facts is None or facts.pool is None
