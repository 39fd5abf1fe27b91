"""Ghost prefills: what an aborted request still computes on its server, and waiting for its end.

sglang-kt computes an aborted prefill to its end (recorded: 60,605 tokens after a cut at 20,480). A
request sent meanwhile waits behind it, and one sent again is paid twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from jobs import clock
from jobs.errors import WorkCancelled
from jobs.model import Attempt
from jobs.worker.attempt import RunningAttempt
from ktclient.errors import (
    BadGateway,
    DeadlineExceeded,
    LinkLost,
    ProxyGaveUp,
    ServerHung,
    StreamCut,
)
from ktclient.planning.prefill_time import PrefillModel
from ktclient.records.phases import WAITING_FOR_SERVER
from ktclient.servers import queries
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.wording import spoken
from ktclient.worker.heartbeat import call_in_thread, sleep

LOOK_SECONDS = 2.0
"""llama.cpp no longer noticed lost clients when it was asked ten times a second; every 3 s is
fine, and so is 2 s for the short while that this takes."""


SLOWEST_TOKENS_PER_SECOND = 300.0
"""Prefill at the far end of a long document: the deployment guide's 590 tokens/s have fallen to
320 by 600K tokens."""


LEAST_PATIENCE_SECONDS = 60.0


_UNANSWERED = frozenset(
    (
        *("worker_died", "worker_stopped", WorkCancelled.cause, DeadlineExceeded.cause),
        *(StreamCut.cause, LinkLost.cause, ServerHung.cause, ProxyGaveUp.cause, BadGateway.cause),
    )
)
"""Causes of ends that were no answer of the server's."""


_ENDING = "waiting for the last attempt to end on the server"


_UNSENT = ("starting", "preparing", "connecting", WAITING_FOR_SERVER, _ENDING)


@dataclass(frozen=True)
class Ghost:
    """What a prefill that was given up costs, if it runs to its end: `seconds` at the most, and
    `tokens`, None when nobody knows how many were read."""

    seconds: float
    tokens: int | None = None

    def __str__(self) -> str:
        if self.seconds < 1:
            return ""
        amount = "" if self.tokens is None else f" (about {self.tokens:,} tokens)"
        return f", for up to {spoken(self.seconds)} more{amount}"


def ghost_seconds(tokens: int, belief: PrefillModel | None) -> float:
    """How long the whole prefill of so many tokens may take: no ghost of it lasts longer. By what
    earlier prefills there took, where any are known."""
    if belief is None:
        return tokens / SLOWEST_TOKENS_PER_SECOND
    return belief.first_token(tokens).high


class GhostPrefills:
    """What the attempts before this one may have left on its server; seen to once."""

    def __init__(self, performing: RunningAttempt) -> None:
        repeated = (one for one in performing.repeated if _may_compute(one))
        self._attempts = [*repeated, *performing.earlier]

    def end(
        self,
        performing: RunningAttempt,
        facts: ServerFacts,
        api_key: str | None,
        most_seconds: float,
    ) -> None:
        """Have them aborted, and wait until the server computes nothing. A server that cannot say
        is believed after a note; so is one that is busy for longer after their end than that
        prefill takes (`most_seconds`), which serves others by now. Raises `WorkCancelled`."""
        attempts, self._attempts = self._attempts, []
        if not attempts:
            return
        performing.enter(_ENDING)
        for one in attempts:
            rid = one.rid
            call_in_thread(performing, lambda rid=rid: queries.abort(facts, api_key, rid))  # type: ignore[misc]
        longest = max(LEAST_PATIENCE_SECONDS, most_seconds)
        _wait_for_silence(performing, facts, api_key, longest, _since_end(attempts))


def _may_compute(attempt: Attempt) -> bool:
    """Whether a server may not know that nobody waits for it any more."""
    return attempt.cause in _UNANSWERED and attempt.phase not in _UNSENT


def _since_end(attempts: Sequence[Attempt]) -> float:
    """Seconds since the last of them; 0 where the clock was set back."""
    ends = [one.ended_at for one in attempts if one.ended_at]
    return max(0.0, clock.seconds_between(max(ends), clock.now())) if ends else 0.0


def _wait_for_silence(
    performing: RunningAttempt, facts: ServerFacts, api_key: str | None, longest: float, gone: float
) -> None:
    give_up = time.monotonic() + longest - gone
    while (silent := _is_silent(performing, facts, api_key)) is False:
        if time.monotonic() > give_up:
            performing.note(
                "last attempt",
                silent=False,
                because=f"busy for {spoken(longest)}, longer than that prefill can take: it "
                "serves others",
            )
            return
        sleep(performing, LOOK_SECONDS)
    performing.note("last attempt", silent="unknown" if silent is None else silent)


def _is_silent(performing: RunningAttempt, facts: ServerFacts, api_key: str | None) -> bool | None:
    """However long the answer takes: inside of a chunk sglang gives none for 7 to 13 s."""
    return call_in_thread(performing, lambda: queries.is_idle(facts, api_key))
