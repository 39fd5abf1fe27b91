"""Ghost prefills: what an aborted request still computes on its server, and waiting for its end.

sglang-kt computes an aborted prefill to its end (recorded: 60,605 tokens after a cut at 20,480). A
request sent meanwhile waits behind it, and a retry costs a second prefill.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from jobs import clock
from jobs.model import Attempt
from jobs.worker.attempt import RunningAttempt
from ktclient.planning import own_requests
from ktclient.planning.prefill_time import PrefillModel
from ktclient.records import phases
from ktclient.servers import queries
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.wording import count, spoken
from ktclient.worker import prediction
from ktclient.worker.heartbeat import call_in_thread, sleep

LOOK_SECONDS = 2.0
"""llama.cpp stopped noticing disconnected clients when it was polled ten times a second; every 3 s
is fine, and so is 2 s for the short time that this takes."""


SLOWEST_TOKENS_PER_SECOND = 300.0
"""Prefill speed at the end of a long document: the deployment guide's 590 tokens/s fell to 320 by
600K tokens."""


LEAST_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Ghost:
    """The cost of an aborted prefill if the server computes it to its end: `seconds` at most, and
    `tokens`, None if the number of tokens already computed is unknown."""

    seconds: float
    tokens: int | None = None

    def __str__(self) -> str:
        if self.seconds < 1:
            return ""
        amount = "" if self.tokens is None else f" (about {count(self.tokens, 'token')})"
        return f", for up to {spoken(self.seconds)} more{amount}"


def ghost_seconds(tokens: int, belief: PrefillModel | None) -> float:
    """Upper bound in seconds for a whole prefill of this many tokens: no ghost of it lasts longer.
    Uses earlier prefills on that server, if any are known."""
    if belief is None:
        return tokens / SLOWEST_TOKENS_PER_SECOND
    return belief.first_token(tokens).high


class GhostPrefills:
    """What earlier attempts may have left on the server; handled once."""

    def __init__(self, attempt: RunningAttempt) -> None:
        repeated = (one for one in attempt.repeated if own_requests.may_compute(one))
        self._attempts = [*repeated, *attempt.earlier]
        self._is_doubtful = False
        self.has_seen_server = False
        """Whether the server itself, not only a gateway, answered right before this request."""

    @property
    def is_doubtful(self) -> bool:
        """Whether a request of this attempt may have reached its server, although a gateway says
        that it did not."""
        return self._is_doubtful

    def look_before_sending(self) -> None:
        """From now on, `end` finds out whether the server itself answers: if its gateway then
        reports that it is not there, it died of the request, or with it."""
        self._is_doubtful = True

    def dismiss(self) -> None:
        """The request is for another server now, which computes none of them."""
        self._attempts, self._is_doubtful = [], False

    def end(
        self,
        attempt: RunningAttempt,
        facts: ServerFacts,
        api_key: str | None,
        most_seconds: float,
    ) -> bool:
        """Abort them, and wait until the server computes nothing. A server that cannot report that
        is trusted after an event in the job's log; so is one that is busy after their end for
        longer than they take (`most_seconds`): it has other requests by now. Returns whether there
        were any. Raises `WorkCancelled`."""
        if self._is_doubtful:
            self.has_seen_server = _is_silent(attempt, facts, api_key) is not None
        attempts, self._attempts = self._attempts, []
        if not attempts:
            return False
        attempt.enter_phase(phases.WAITING_FOR_LAST_ATTEMPT)
        for one in attempts:
            rid = one.rid
            call_in_thread(attempt, lambda rid=rid: queries.abort(facts, api_key, rid))  # type: ignore[misc]
        longest = max(LEAST_PATIENCE_SECONDS, most_seconds)
        _wait_for_silence(attempt, facts, api_key, longest, _since_end(attempts))
        return True


def _since_end(attempts: Sequence[Attempt]) -> float:
    """Seconds since the last of them ended; 0 if the clock was set back."""
    ends = [one.ended_at for one in attempts if one.ended_at]
    return max(0.0, clock.seconds_between(max(ends), clock.now())) if ends else 0.0


def _wait_for_silence(
    attempt: RunningAttempt, facts: ServerFacts, api_key: str | None, longest: float, gone: float
) -> None:
    give_up = time.monotonic() + longest - gone
    while (silent := _is_silent(attempt, facts, api_key)) is False:
        if time.monotonic() > give_up:
            attempt.log_event(
                "last attempt",
                silent=False,
                because=f"busy for {spoken(longest)}, longer than that prefill can take: it "
                f"serves {prediction.served(attempt)}",
            )
            return
        sleep(attempt, LOOK_SECONDS)
    attempt.log_event("last attempt", silent="unknown" if silent is None else silent)


def _is_silent(attempt: RunningAttempt, facts: ServerFacts, api_key: str | None) -> bool | None:
    """Waits however long the answer takes: inside a chunk sglang gives none for 7 to 13 s."""
    return call_in_thread(attempt, lambda: queries.is_idle(facts, api_key))
