"""How many requests and tokens a server may be given simultaneously."""

from __future__ import annotations

from jobs.model import Capacity
from jobs.store.store import Store
from ktclient.servers import habits, listening
from ktclient.servers.dialects import llamacpp
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.selection import Target


def of(store: Store, target: Target) -> Capacity:
    """How much the server may be given simultaneously: the configured number, else what it
    reported, else one request. A busy server may not have reported it this time, but may have
    before."""
    facts = target.facts
    if facts is not None and facts.dialect == llamacpp.NAME:
        return _of_llamacpp(store, target, facts)
    known = store.capacities().get(target.server, Capacity()) if _is_unknown(facts) else Capacity()
    if facts is None or known.tokens is not None:
        return Capacity(known.tokens, target.parallel or known.slots or 1, known.affinity)
    slots = target.parallel or facts.max_running or 1
    return Capacity(facts.pool, slots, bool(facts.has_prefix_cache))


def _of_llamacpp(store: Store, target: Target, facts: ServerFacts) -> Capacity:
    """All its slots may share one cache of the size of one window, and nothing of what it reports
    says so: two requests that fill it both die. Only `server.parallel` says that they do not; and
    where that has proved wrong, one request at a time is all."""
    run = listening.run_of(facts.url)
    if habits.has_shared_cache(store, target.server, run):
        return Capacity(facts.window, 1, bool(facts.has_prefix_cache))
    if target.parallel is not None:
        return Capacity(None, target.parallel, bool(facts.has_prefix_cache))
    known = store.capacities().get(target.server, Capacity())
    slots = facts.max_running or known.slots or 1
    return Capacity(facts.window, slots if facts.window else 1, bool(facts.has_prefix_cache))


def _is_unknown(facts: ServerFacts | None) -> bool:
    return facts is None or facts.pool is None
