"""Learn from earlier prefills of a server and a model to predict the next one; stored between jobs.

The last three are stored, thinned: a server that was restarted with other flags, or on another
machine, is known again after three.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ktclient import estimate
from ktclient.estimate import Belief, Look
from ktclient.progress import Past

KEPT = 3
LEAST_LOOKS = 5
"""With fewer samples, only the whole prefill time is used."""
MOST_CACHED = 0.05
"""As a share of the prompt: cached tokens cost nothing, and show nothing about the rest."""
LEAST_TOKENS = 256
"""In tokens: in shorter prompts the round trip costs more than the prefill."""


class Memory(Protocol):
    """Where facts about a pool (a server) are stored: the store, or an attempt's view of it."""

    def remember(self, pool: str, name: str, value: dict[str, object]) -> None: ...

    def recall(self, pool: str, name: str) -> dict[str, object] | None: ...


@dataclass(frozen=True)
class Measured:
    """One prefill without other load on the server. `looks` may be few or none: then its whole time
    is used, including the time before it started."""

    looks: Sequence[Look]
    first_token_seconds: float
    prompt_tokens: int
    cached_tokens: int


def past(memory: Memory, server: str, model: str) -> Past:
    """The earlier prefills and the model fitted to them; empty if there are none."""
    kept = _kept(memory, server, model)
    if not kept:
        return Past()
    prefills = tuple(tuple(estimate.progress(looks)) for looks in kept)
    lags = [
        estimate.lag_of(looks[-1].seconds, looks[-1].tokens, estimate.believe(seen))
        for looks, seen in zip(kept, prefills, strict=True)
        if len(looks) >= LEAST_LOOKS
    ]
    lag = statistics.median(lags) if lags else 0.0
    return Past(prefills, lag, estimate.believe([], prefills, lag=lag))


def belief(memory: Memory, server: str, model: str) -> Belief | None:
    """The prefill model of a server and model; None without an earlier prefill."""
    return past(memory, server, model).belief


def learn(memory: Memory, server: str, model: str, one: Measured) -> bool:
    """Store a prefill for later predictions. False if it is of no use for them."""
    tokens = one.prompt_tokens
    if tokens < LEAST_TOKENS or one.cached_tokens > MOST_CACHED * tokens:
        return False
    whole = Look(tokens, one.first_token_seconds)
    before = [look for look in one.looks if look.tokens < tokens and look.seconds < whole.seconds]
    seen = estimate.progress([*before, whole])
    if len(seen) < LEAST_LOOKS:
        seen = [Look(0, 0.0), whole]
    kept = [*_kept(memory, server, model), seen][-KEPT:]
    rows = [[[look.tokens, round(look.seconds, 3)] for look in looks] for looks in kept]
    memory.remember(server, _name(model), {"looks": rows})
    return True


def _kept(memory: Memory, server: str, model: str) -> list[list[Look]]:
    """Unreadable data counts as none: it is only used for predictions."""
    try:
        rows: Any = (memory.recall(server, _name(model)) or {"looks": []})["looks"]
        return [[Look(int(done), float(at)) for done, at in one] for one in rows if len(one) > 1]
    except (ValueError, TypeError, KeyError):
        return []


def _name(model: str) -> str:
    return f"prefills of {model}"
