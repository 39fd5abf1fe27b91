"""What a server has still to read of ktjob's own requests before a new one has its turn. Pure.

A server reads prompts one after another, in the order in which they came. sglang-kt also reads a
prompt to its end whose client has gone (a ghost prefill); it counts such a request nowhere, so only
the attempts in the store tell whose it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobs import clock
from jobs.errors import WorkCancelled
from jobs.model import Attempt
from ktclient.errors import (
    BadGateway,
    CacheExhausted,
    DeadlineExceeded,
    LinkLost,
    ProxyGaveUp,
    ServerHung,
    StreamCut,
)
from ktclient.records import phases
from ktclient.wording import spoken

LONGEST_SECONDS = 7200.0
"""No ghost is older: a prefill of a million tokens takes an hour by the guide's figures."""
UNSURE_FACTOR = 1.5
UNSURE_SECONDS = 5.0
"""A ghost may last longer than was predicted: by such a part of its rest, and so long besides. A
server that is busy after that serves other clients."""
UNKNOWN_SECONDS = 60.0
"""How long a ghost may last of which nothing was predicted."""

AHEAD_SECONDS = "ahead_seconds"
"""The figure of an attempt with the seconds until the server had read what was ahead of it, as
predicted when it was sent."""

_UNANSWERED = frozenset(
    (
        *("worker_died", "worker_stopped", WorkCancelled.cause, DeadlineExceeded.cause),
        *(StreamCut.cause, LinkLost.cause, ServerHung.cause, ProxyGaveUp.cause, BadGateway.cause),
        CacheExhausted.cause,  # what others have there must end before it is sent again
    )
)
"""Causes of an attempt's end that are not an answer of the server."""
_READ = (phases.WAITING, phases.PREFILL, phases.NOT_ANSWERING)
"""In these a request has been sent, and its first token has not come."""


@dataclass(frozen=True)
class OwnRequest:
    """A request whose prompt the server may still have to read. `job_id`: empty if it came with
    another API key than the job that asks. `ended`: seconds since its attempt
    ended, None if it runs; `left`: seconds until its prompt is read, None if unknown; `tokens`: how
    many of them are left, 0 if unknown."""

    job_id: str
    ended: float | None = None
    left: float | None = None
    tokens: int = 0

    @property
    def name(self) -> str:
        """Its job, for people."""
        return f"your job {self.job_id}" if self.job_id else "another job"


@dataclass(frozen=True)
class OwnWork:
    """All such requests of one server, at one moment."""

    requests: tuple[OwnRequest, ...] = ()

    @property
    def seconds(self) -> float | None:
        """Until the last of them has been read; None if unknown. What each waits for is part of
        its own time."""
        left = [one.left for one in self.requests]
        return None if None in left else max((one for one in left if one is not None), default=0.0)

    @property
    def tokens(self) -> int:
        """How many tokens the server reads for them first, as far as that is known."""
        return sum(one.tokens for one in self.requests)

    def running(self) -> OwnWork:
        """Without those whose attempt has ended."""
        return OwnWork(tuple(one for one in self.requests if one.ended is None))

    def reason(self) -> str:
        """Why progress and times of a request that was sent at this moment are estimates."""
        one, more = self._last, len(self.requests) - 1
        also = f", and {_more(more)}" if more else ""
        if one.ended is None:
            return f"the server was reading {one.name}{also} when this was sent"
        when = f"which ended {spoken(one.ended)} before this was sent"
        return f"the server was still computing {one.name}, {when}{also}"

    def until(self) -> str:
        """How long a new request waits: "about 11 s until your job X has been read"."""
        seconds, one, more = self.seconds, self._last, len(self.requests) - 1
        time = "an unknown time" if seconds is None else f"about {spoken(seconds)}"
        when = "" if one.ended is None else f" (ended {spoken(one.ended)} before)"
        if more:
            return f"{time} until {one.name}{when} and {_more(more)} have been read"
        return f"{time} until {one.name}{when} has been read"

    @property
    def _last(self) -> OwnRequest:
        """The one that is read last."""
        return max(self.requests, key=lambda one: one.left or 0.0)


def _more(number: int) -> str:
    return f"{number} more job{'s' if number > 1 else ''}"


def may_compute(attempt: Attempt) -> bool:
    """Whether the server may still compute an ended attempt, because it does not know that its
    client is gone."""
    return attempt.cause in _UNANSWERED and attempt.phase not in phases.BEFORE_SENDING


def in_prefill(attempts: Iterable[Attempt], now: str) -> OwnWork:
    """Those of these attempts, all on one server, whose prompts it may still have to read."""
    found = (_request(one, now) for one in attempts)
    return OwnWork(tuple(one for one in found if one is not None))


def _request(attempt: Attempt, now: str) -> OwnRequest | None:
    if attempt.phase not in _READ or (attempt.ended_at and not _is_ghost(attempt)):
        return None
    told = _told(attempt)
    left = None if told is None else max(0.0, told[0] - _since(told[1], now))
    tokens = _tokens(attempt, left)
    if attempt.ended_at is None:
        return OwnRequest(attempt.job_id, left=left, tokens=tokens)
    ended = _since(attempt.ended_at, now)
    if told is None:
        return OwnRequest(attempt.job_id, ended) if ended < UNKNOWN_SECONDS else None
    if _since(told[1], now) > told[0] * UNSURE_FACTOR + UNSURE_SECONDS:
        return None
    return OwnRequest(attempt.job_id, ended, left, tokens)


def _is_ghost(attempt: Attempt) -> bool:
    """Whether an ended attempt had its turn before its end: a server drops what waits in its queue
    (sglang-kt too)."""
    ahead = attempt.figures.get(AHEAD_SECONDS)
    if attempt.phase == phases.WAITING and isinstance(ahead, (int, float)) and attempt.ended_at:
        return may_compute(attempt) and _since(attempt.phase_at, attempt.ended_at) >= ahead
    return may_compute(attempt)


def _told(attempt: Attempt) -> tuple[float, str] | None:
    """The seconds until its first token as it last reported them, and when that was; else as they
    were predicted when it was sent."""
    figures = attempt.figures
    eta, at = figures.get("eta_seconds"), figures.get("eta_at")
    if isinstance(eta, (int, float)) and isinstance(at, str):
        return float(eta), at
    predicted = figures.get("predicted_seconds")
    if isinstance(predicted, (int, float)):
        return float(predicted), _sent_at(attempt)
    return None


def _sent_at(attempt: Attempt) -> str:
    """When it was sent, or a little later."""
    return attempt.phase_at if attempt.phase == phases.WAITING else attempt.started_at


def _tokens(attempt: Attempt, left: float | None) -> int:
    """Those that were left when it last reported, as far as they are not read since."""
    eta = attempt.figures.get("eta_seconds")
    if attempt.done is None or attempt.total is None or not isinstance(eta, (int, float)):
        return 0
    part = min(1.0, left / eta) if left is not None and eta > 0 else 0.0
    return round((attempt.total - attempt.done) * part)


def _since(then: str, now: str) -> float:
    return max(0.0, clock.seconds_between(then, now))
