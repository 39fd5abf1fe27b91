"""Asking again what no server has accepted yet; whatever was accepted is never asked again here."""

from __future__ import annotations

import time
from dataclasses import dataclass

import tenacity

from jobs.worker.attempt import RunningAttempt
from ktclient.errors import (
    NEVER_ACCEPTED,
    ConnectionRefused,
    HostUnknown,
    HostUnreachable,
    RateLimited,
    ServerSilent,
)
from ktclient.records.phases import WAITING_FOR_SERVER
from ktclient.servers import starting
from ktclient.submission.spec import JobSpec
from ktclient.worker.heartbeat import sleep

PATIENCE_SECONDS = 600.0
"""How long a job waits for a server that accepts nothing: the guide's takes 80 s to start,
KTransformers' own tutorial says 4 to 5 minutes."""
AWAY_SECONDS = 86_400.0
"""The same for one that is not there at all: it crashed at night, the laptop left its network. To
look costs nothing, and the jobs behind wait too, where they would fail one after another."""
LONGEST_PAUSE_SECONDS = 15.0
LONGEST_AWAY_PAUSE_SECONDS = 60.0
AWAY = (ConnectionRefused, HostUnknown, HostUnreachable, ServerSilent)
"""Not there at all, or no way leads to it."""


def tries(performing: RunningAttempt, spec: JobSpec) -> tenacity.Retrying:
    """While it is starting, full or away: for `PATIENCE_SECONDS` or `AWAY_SECONDS` since it first
    refused; within the job's timeout also as long as it says itself when to come back, or
    `ktserver` is starting it, which has bounds of its own."""
    refusals = _Refusals(performing, spec)
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(NEVER_ACCEPTED),
        wait=refusals.pause,
        stop=refusals.are_enough,
        sleep=lambda seconds: sleep(performing, seconds),
        before_sleep=refusals.tell,
        reraise=True,
    )


@dataclass
class _Refusals:
    """Of one attempt. The first begins the wait: what came before it, such as a time in the
    server's queue, was none."""

    performing: RunningAttempt
    spec: JobSpec
    began: float = 0.0
    told: str = ""

    def pause(self, state: tenacity.RetryCallState) -> float:
        """Ever longer, and not shorter than the server says."""
        is_long_gone = self._waited() > PATIENCE_SECONDS
        longest = LONGEST_AWAY_PAUSE_SECONDS if is_long_gone else LONGEST_PAUSE_SECONDS
        return max(tenacity.wait_exponential(min=1, max=longest)(state), _due(_error(state)))

    def are_enough(self, state: tenacity.RetryCallState) -> bool:
        if state.attempt_number == 1:
            self.began = time.monotonic()
        error, timeout = _error(state), self.spec.timeout
        if due := _due(error):
            return self._waited() + due > timeout
        limit = AWAY_SECONDS if isinstance(error, AWAY) else PATIENCE_SECONDS
        if timeout < PATIENCE_SECONDS:  # who gives it minutes is not served by a day
            limit = min(limit, timeout)
        if self._waited() < limit:
            return False
        is_coming = starting.at(self.performing.state.servers, self.spec.server) is not None
        return not is_coming or self._waited() >= max(limit, timeout)

    def tell(self, state: tenacity.RetryCallState) -> None:
        """Once for each reason: a night has many turns."""
        if self.performing.phase != WAITING_FOR_SERVER:
            self.performing.enter(WAITING_FOR_SERVER)
        reason = str(_error(state))
        self.performing.figure(last_refusal=reason)
        if reason != self.told:
            self.told = reason
            self.performing.note("not accepted", reason=reason)

    def _waited(self) -> float:
        return time.monotonic() - self.began


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _due(error: BaseException | None) -> float:
    """In how many seconds the server wants to be asked again; 0 where it does not say."""
    return (error.retry_after or 0.0) if isinstance(error, RateLimited) else 0.0
