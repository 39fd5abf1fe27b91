"""What an attempt leaves behind on its server, and waiting until it is gone.

sglang-kt computes an aborted prefill to its end (a ghost prefill: recorded, 60,605 tokens after a
cut at 20,480). A request sent meanwhile waits behind it, and a retry costs a second prefill.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass

from jobs import clock
from jobs.model import Attempt
from jobs.performing import Performing
from ktclient.attending import asked, attend, rest
from ktclient.errors import (
    BadGateway,
    ConnectionRefused,
    DeadlineExceeded,
    KtjobError,
    LinkLost,
    NoServer,
    ProxyGaveUp,
    ServerDied,
    ServerHung,
    StreamCut,
    WorkCancelled,
)
from ktclient.estimate import Belief
from ktclient.quoting import after_time, spoken
from ktclient.servers import calls, probe
from ktclient.servers.dialect import ServerFacts
from ktclient.snapshot import WAITING_FOR_SERVER

LOOK_SECONDS = 2.0
"""llama.cpp stopped noticing disconnected clients when it was polled ten times a second; every 3 s
is fine, and so is 2 s for the short time that this takes."""
ABORT_SECONDS = 2.0
"""How long a cancel waits for the answer to its abort. sglang answers immediately; a hung server
never does."""
AFTER_CANCEL_SECONDS = 5.0
"""How long a cancel checks whether the server becomes idle, before it reports that it has not.
sglang answers no query inside a chunk, so no answer in that time means the same."""
SLOWEST_TOKENS_PER_SECOND = 300.0
"""Prefill speed at the end of a long document: the deployment guide's 590 tokens/s fell to 320 by
600K tokens."""
LEAST_PATIENCE_SECONDS = 60.0
_UNANSWERED = frozenset(
    (
        *("worker_died", "worker_stopped", WorkCancelled.cause, DeadlineExceeded.cause),
        *(StreamCut.cause, LinkLost.cause, ServerHung.cause, ProxyGaveUp.cause, BadGateway.cause),
    )
)
"""Causes of an attempt's end that are not an answer of the server."""
_ENDING = "waiting for the last attempt to end on the server"
_UNSENT = ("starting", "preparing", "connecting", WAITING_FOR_SERVER, _ENDING)
DEATH_SECONDS = 0.3
"""Seconds between two checks whether a server that cut the connection still listens."""


@dataclass(frozen=True)
class Ghost:
    """The cost of an aborted prefill if the server computes it to its end: `seconds` at most, and
    `tokens`, None if the number of tokens already computed is unknown."""

    seconds: float
    tokens: int | None = None

    def __str__(self) -> str:
        if self.seconds < 1:
            return ""
        amount = "" if self.tokens is None else f" (about {self.tokens:,} tokens)"
        return f", for up to {spoken(self.seconds)} more{amount}"


def ghost_seconds(tokens: int, belief: Belief | None) -> float:
    """Upper bound in seconds for a whole prefill of this many tokens: no ghost of it lasts longer.
    Uses earlier prefills on that server, if any are known."""
    if belief is None:
        return tokens / SLOWEST_TOKENS_PER_SECOND
    return belief.first_token(tokens).high


class LeftBehind:
    """What earlier attempts may have left on the server; handled once."""

    def __init__(self, performing: Performing) -> None:
        repeated = (one for one in performing.repeated if _may_compute(one))
        self._attempts = [*repeated, *performing.earlier]

    def end(
        self, performing: Performing, facts: ServerFacts, api_key: str | None, most_seconds: float
    ) -> None:
        """Abort them, and wait until the server computes nothing. A server that cannot report that
        is trusted after an event in the job's log; so is one that is busy after their end for
        longer than that prefill takes (`most_seconds`): it serves other clients by now. Raises
        `WorkCancelled`."""
        attempts, self._attempts = self._attempts, []
        if not attempts:
            return
        performing.enter(_ENDING)
        for one in attempts:
            rid = one.rid
            attend(performing, lambda rid=rid: calls.abort(facts, api_key, rid))  # type: ignore[misc]
        longest = max(LEAST_PATIENCE_SECONDS, most_seconds)
        _wait_for_silence(performing, facts, api_key, longest, _since_end(attempts))


def _may_compute(attempt: Attempt) -> bool:
    """Whether the server may still compute it because it does not know that its client is gone."""
    return attempt.cause in _UNANSWERED and attempt.phase not in _UNSENT


def _since_end(attempts: Sequence[Attempt]) -> float:
    """Seconds since the last of them ended; 0 if the clock was set back."""
    ends = [one.ended_at for one in attempts if one.ended_at]
    return max(0.0, clock.seconds_between(max(ends), clock.now())) if ends else 0.0


def _wait_for_silence(
    performing: Performing, facts: ServerFacts, api_key: str | None, longest: float, gone: float
) -> None:
    give_up = time.monotonic() + longest - gone
    while (silent := _is_silent(performing, facts, api_key)) is False:
        if time.monotonic() > give_up:
            performing.note(
                "last attempt",
                silent=False,
                because=f"busy for {spoken(longest)}, longer than that prefill can take: it "
                "serves other clients",
            )
            return
        rest(performing, LOOK_SECONDS)
    performing.note("last attempt", silent="unknown" if silent is None else silent)


def _is_silent(performing: Performing, facts: ServerFacts, api_key: str | None) -> bool | None:
    """Waits however long the answer takes: inside a chunk sglang gives none for 7 to 13 s."""
    return attend(performing, lambda: calls.is_silent(facts, api_key))


def abort(facts: ServerFacts, api_key: str | None, rid: str) -> bool:
    """Ask the server to stop a request, before its connection is closed: until then the server
    still knows its rid. False if the server has no abort endpoint, or did not answer soon."""
    try:
        return asked(lambda: calls.abort(facts, api_key, rid)).get(timeout=ABORT_SECONDS) is True
    except queue.Empty:
        return False


def abort_unheard(performing: Performing, facts: ServerFacts, api_key: str | None) -> None:
    """Abort after the connection was lost: a proxy in between may still hold the server's end open,
    so nothing else informs the server that its client is gone."""
    if abort(facts, api_key, performing.rid):
        performing.note("abort", asked=True, dialect=facts.dialect)


def after_cancel(facts: ServerFacts, api_key: str | None, ghost: Ghost) -> str:
    """After a request was aborted and its connection closed: what the server still computes, as
    text; empty if it became idle, or cannot report it."""
    give_up = time.monotonic() + AFTER_CANCEL_SECONDS
    while (left := give_up - time.monotonic()) > 0:
        try:
            silent = asked(lambda: calls.is_silent(facts, api_key)).get(timeout=left)
        except queue.Empty:
            break
        if silent is not False:
            return ""
        time.sleep(LOOK_SECONDS / 4)
    return (
        f"{facts.url} still computes: either for another client, or the rest of this prompt, as "
        f"sglang-kt does{ghost}; until then the next request waits; only a restart of the server "
        "ends it sooner"
    )


def explain_cut(
    performing: Performing,
    facts: ServerFacts,
    api_key: str | None,
    error: StreamCut,
    seconds: float,
) -> KtjobError:
    """Whether a connection that broke mid-answer, after this many seconds, means that the server
    died. Raises `WorkCancelled`."""
    when = after_time(seconds)
    for _ in range(3):  # a dying process closes its connections before it stops to listen
        try:
            attend(performing, lambda: probe.probe(facts.url, api_key))
        except ConnectionRefused:
            return ServerDied(
                f"the server at {facts.url} died {when}before the answer was complete: nothing "
                "listens there any more. See its log, usually it ran out of memory; then start "
                "it again."
            )
        except NoServer:
            rest(performing, DEATH_SECONDS)
        except KtjobError:
            return error
        else:
            return error
    return error
