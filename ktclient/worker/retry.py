"""Retry requests that no server has accepted yet; an accepted request is never retried here."""

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
"""How long a job waits for a server that accepts no requests: the guide's takes 80 s to start,
KTransformers' own tutorial says 4 to 5 minutes."""
AWAY_SECONDS = 86_400.0
"""The same for a server that is away: it crashed at night, or the laptop left its network. Trying
costs nothing, and the jobs behind wait too, where they would fail one after another."""
LONGEST_PAUSE_SECONDS = 15.0
LONGEST_AWAY_PAUSE_SECONDS = 60.0
AWAY = (ConnectionRefused, HostUnknown, HostUnreachable, ServerSilent)
"""Nothing listens there, or it cannot be reached."""


def tries(attempt: RunningAttempt, spec: JobSpec) -> tenacity.Retrying:
    """Retry while the server is starting, full or away: for `PATIENCE_SECONDS` or `AWAY_SECONDS`
    after the first refusal. Within the job's timeout, also as long as the server's Retry-After
    says, and as long as `ktserver` is starting it, which has limits of its own."""
    refusals = _Refusals(attempt, spec)
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(NEVER_ACCEPTED),
        wait=refusals.pause,
        stop=refusals.are_enough,
        sleep=lambda seconds: sleep(attempt, seconds),
        before_sleep=refusals.tell,
        reraise=True,
    )


@dataclass
class _Refusals:
    """The refusals of one attempt. The first starts the wait: time before it, such as in the
    server's queue, does not count."""

    attempt: RunningAttempt
    spec: JobSpec
    began: float = 0.0
    told: str = ""

    def pause(self, state: tenacity.RetryCallState) -> float:
        """Exponential backoff, but never less than the server's Retry-After."""
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
        if timeout < PATIENCE_SECONDS:  # a timeout of minutes should not become a day
            limit = min(limit, timeout)
        if self._waited() < limit:
            return False
        is_coming = starting.at(self.attempt.state.servers, self.spec.server) is not None
        return not is_coming or self._waited() >= max(limit, timeout)

    def tell(self, state: tenacity.RetryCallState) -> None:
        """Log each reason once: a night has many tries."""
        if self.attempt.phase != WAITING_FOR_SERVER:
            self.attempt.enter_phase(WAITING_FOR_SERVER)
        reason = str(_error(state))
        self.attempt.record_metrics(last_refusal=reason)
        if reason != self.told:
            self.told = reason
            self.attempt.log_event("not accepted", reason=reason)

    def _waited(self) -> float:
        return time.monotonic() - self.began


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _due(error: BaseException | None) -> float:
    """Seconds until the server wants a retry; 0 if it does not say."""
    return (error.retry_after or 0.0) if isinstance(error, RateLimited) else 0.0
