"""Learn from earlier prefills of a server and a model to predict the next one; stored between jobs.

The last three are stored, thinned: a server that was restarted with other flags, or on another
machine, is known again after three.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ktclient.planning import prefill_time
from ktclient.planning.prefill_time import PrefillModel, Sample
from ktclient.planning.progress import History
from ktclient.servers.memory import Memory

KEPT = 3
LEAST_LOOKS = 5
"""With fewer samples, only the whole prefill time is used."""
MOST_CACHED = 0.05
"""As a share of the prompt: cached tokens cost nothing, and show nothing about the rest."""
LEAST_TOKENS = 256
"""In tokens: in shorter prompts the round trip costs more than the prefill."""


@dataclass(frozen=True)
class Measured:
    """One prefill without other load on the server. `looks` may be few or none: then its whole time
    is used, including the time before it started."""

    looks: Sequence[Sample]
    first_token_seconds: float
    prompt_tokens: int
    cached_tokens: int


def history(memory: Memory, server: str, model: str) -> History:
    """The earlier prefills and the model fitted to them; empty if there are none."""
    kept = _kept(memory, server, model)
    if not kept:
        return History()
    prefills = tuple(tuple(prefill_time.progress(looks)) for looks in kept)
    lags = [
        prefill_time.lag_of(looks[-1].seconds, looks[-1].tokens, prefill_time.fit_model(seen))
        for looks, seen in zip(kept, prefills, strict=True)
        if len(looks) >= LEAST_LOOKS
    ]
    lag = statistics.median(lags) if lags else 0.0
    return History(prefills, lag, prefill_time.fit_model([], prefills, lag=lag))


def model(memory: Memory, server: str, model: str) -> PrefillModel | None:
    """The prefill model of a server and model; None without an earlier prefill."""
    return history(memory, server, model).belief


def last_speed(memory: Memory, server: str, model: str) -> float | None:
    """Tokens per second of the last prefill that is remembered, over its whole length; None without
    one."""
    kept = _kept(memory, server, model)
    if not kept or kept[-1][-1].seconds <= 0:
        return None
    last = kept[-1][-1]
    return last.tokens / last.seconds


def record(memory: Memory, server: str, model: str, one: Measured) -> bool:
    """Store a prefill for later predictions. False if it is of no use for them."""
    tokens = one.prompt_tokens
    if tokens < LEAST_TOKENS or one.cached_tokens > MOST_CACHED * tokens:
        return False
    whole = Sample(tokens, one.first_token_seconds)
    before = [look for look in one.looks if look.tokens < tokens and look.seconds < whole.seconds]
    seen = prefill_time.progress([*before, whole])
    if len(seen) < LEAST_LOOKS:
        seen = [Sample(0, 0.0), whole]
    kept = [*_kept(memory, server, model), seen][-KEPT:]
    rows = [[[look.tokens, round(look.seconds, 3)] for look in looks] for looks in kept]
    memory.remember(server, _name(model), {"looks": rows})
    return True


def _kept(memory: Memory, server: str, model: str) -> list[list[Sample]]:
    """Unreadable data counts as none: it is only used for predictions."""
    try:
        rows: Any = (memory.recall(server, _name(model)) or {"looks": []})["looks"]
        return [[Sample(int(done), float(at)) for done, at in one] for one in rows if len(one) > 1]
    except (ValueError, TypeError, KeyError):
        return []


def _name(model: str) -> str:
    return f"prefills of {model}"
