"""Asking again what no server has accepted yet; whatever was accepted is never asked again here."""

from __future__ import annotations

import time

import tenacity

from jobs.performing import Performing
from ktclient.attending import rest
from ktclient.errors import NEVER_ACCEPTED, RateLimited
from ktclient.servers import coming
from ktclient.spec import JobSpec

PATIENCE_SECONDS = 600.0
"""How long a job waits for a server that accepts nothing: the guide's takes 80 s to start,
KTransformers' own tutorial says 4 to 5 minutes."""
LONGEST_PAUSE_SECONDS = 15.0


def turns(performing: Performing, spec: JobSpec) -> tenacity.Retrying:
    """While it is starting, or full: for `PATIENCE_SECONDS` since it first refused; within the
    job's timeout also as long as it says itself when to come back, or `ktserver` is starting it,
    which has bounds of its own."""
    patience = min(PATIENCE_SECONDS, spec.timeout)
    doubling = tenacity.wait_exponential(min=1, max=LONGEST_PAUSE_SECONDS)
    refused_at = 0.0

    def told(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return (error.retry_after or 0.0) if isinstance(error, RateLimited) else 0.0

    def is_over(state: tenacity.RetryCallState) -> bool:
        """By the first refusal: what came before it, such as a wait in its queue, is no refusal."""
        nonlocal refused_at
        now = time.monotonic()
        if state.attempt_number == 1:
            refused_at = now
        waited, due = now - refused_at, told(state)
        if due or waited < patience:
            return waited + due > spec.timeout
        return waited >= spec.timeout or coming.at(performing.state.servers, spec.server) is None

    def say_why(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        performing.enter("waiting for the server")
        performing.note("not accepted", reason=str(error))

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(NEVER_ACCEPTED),
        wait=lambda state: max(doubling(state), told(state)),
        stop=is_over,
        sleep=lambda seconds: rest(performing, seconds),
        before_sleep=say_why,
        reraise=True,
    )
