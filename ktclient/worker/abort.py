"""What an attempt leaves behind on its server, and waiting until it is gone.

sglang-kt computes an aborted prefill to its end (a ghost prefill: recorded, 60,605 tokens after a
cut at 20,480). A request sent meanwhile waits behind it, and one sent again is paid twice.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass

from jobs import clock
from jobs.errors import KtjobError, WorkCancelled
from jobs.model import Attempt
from jobs.worker.attempt import Performing
from ktclient.errors import (
    BadGateway,
    ConnectionRefused,
    DeadlineExceeded,
    LinkLost,
    ProxyGaveUp,
    ServerDied,
    ServerHung,
    StreamCut,
)
from ktclient.planning.prefill_time import Belief
from ktclient.records.snapshot import WAITING_FOR_SERVER
from ktclient.servers import probe, queries
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.wording import after_time, spoken
from ktclient.worker.heartbeat import asked, attend, rest
from server_bundle.errors import NoServer

LOOK_SECONDS = 2.0
"""llama.cpp no longer noticed lost clients when it was asked ten times a second; every 3 s is
fine, and so is 2 s for the short while that this takes."""
ABORT_SECONDS = 2.0
"""How long a cancel waits for the answer to its abort. sglang gives it at once; a server that
hangs gives none."""
AFTER_CANCEL_SECONDS = 5.0
"""How long a cancel looks whether the server falls silent, before it says that it has not. sglang
answers no question inside of a chunk, so no answer in that time says the same."""
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
DEATH_SECONDS = 0.3
"""Between two looks whether a server that cut the connection still listens."""


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


def ghost_seconds(tokens: int, belief: Belief | None) -> float:
    """How long the whole prefill of so many tokens may take: no ghost of it lasts longer. By what
    earlier prefills there took, where any are known."""
    if belief is None:
        return tokens / SLOWEST_TOKENS_PER_SECOND
    return belief.first_token(tokens).high


class LeftBehind:
    """What the attempts before this one may have left on its server; seen to once."""

    def __init__(self, performing: Performing) -> None:
        repeated = (one for one in performing.repeated if _may_compute(one))
        self._attempts = [*repeated, *performing.earlier]

    def end(
        self, performing: Performing, facts: ServerFacts, api_key: str | None, most_seconds: float
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
            attend(performing, lambda rid=rid: queries.abort(facts, api_key, rid))  # type: ignore[misc]
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
    performing: Performing, facts: ServerFacts, api_key: str | None, longest: float, gone: float
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
        rest(performing, LOOK_SECONDS)
    performing.note("last attempt", silent="unknown" if silent is None else silent)


def _is_silent(performing: Performing, facts: ServerFacts, api_key: str | None) -> bool | None:
    """However long the answer takes: inside of a chunk sglang gives none for 7 to 13 s."""
    return attend(performing, lambda: queries.is_silent(facts, api_key))


def abort(facts: ServerFacts, api_key: str | None, rid: str) -> bool:
    """Ask the server to stop a request, before its connection is closed: then it is known by its
    name. False when it has no way to be asked, or did not answer soon."""
    try:
        return asked(lambda: queries.abort(facts, api_key, rid)).get(timeout=ABORT_SECONDS) is True
    except queue.Empty:
        return False


def abort_unheard(performing: Performing, facts: ServerFacts, api_key: str | None) -> None:
    """The line is gone, and whatever was in between may still hold the server's end of it: then
    nobody else tells it that nobody waits any more."""
    if abort(facts, api_key, performing.rid):
        performing.note("abort", asked=True, dialect=facts.dialect)


def after_cancel(facts: ServerFacts, api_key: str | None, ghost: Ghost) -> str:
    """Once a request was aborted and its connection closed: what the server still does, in words;
    empty when it fell silent, or cannot say."""
    give_up = time.monotonic() + AFTER_CANCEL_SECONDS
    while (left := give_up - time.monotonic()) > 0:
        try:
            silent = asked(lambda: queries.is_silent(facts, api_key)).get(timeout=left)
        except queue.Empty:
            break
        if silent is not False:
            return ""
        time.sleep(LOOK_SECONDS / 4)
    return (
        f"{facts.url} still computes: either for somebody else, or to the end of this prompt, as "
        f"sglang-kt does{ghost}; until then the next request waits, and only a restart of the "
        "server ends it sooner"
    )


def explain_cut(
    performing: Performing,
    facts: ServerFacts,
    api_key: str | None,
    error: StreamCut,
    seconds: float,
) -> KtjobError:
    """Whether a connection that ended in the middle, after so many seconds, was the server's end.
    Raises `WorkCancelled`."""
    when = after_time(seconds)
    for _ in range(3):  # a dying process closes its connections before it stops to listen
        try:
            attend(performing, lambda: probe.probe(facts.url, api_key))
        except ConnectionRefused:
            return ServerDied(
                f"the server at {facts.url} died {when}before the answer was whole: nothing "
                "listens there any more. Its log says why, memory being the usual reason; start "
                "it again."
            )
        except NoServer:
            rest(performing, DEATH_SECONDS)
        except KtjobError:
            return error
        else:
            return error
    return error
