"""Retry requests that no server has accepted yet; an accepted request is never retried here.

What is not there now is waited for within the attempt: a server, the settings, the start of the
embedded server, the end of a pause. A job that was claimed before a pause may still wait for its
server then, for hours. To begin to send and to pause are one transaction each, so a request is
either known as sent when the pause is stored, or waits for its end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import tenacity

from jobs import clock
from jobs.errors import NotEnoughMemory, OutOfMemory
from jobs.system import no_memory
from jobs.worker.attempt import RunningAttempt
from ktclient.errors import (
    NEVER_ACCEPTED,
    BadSetting,
    ConnectionRefused,
    HostUnknown,
    HostUnreachable,
    RateLimited,
    ServerBusy,
    ServerDidNotStart,
    ServerSilent,
    UpstreamDown,
    WeightsUnavailable,
)
from ktclient.records import blocks, phases
from ktclient.records.phases import WAITING_FOR_SERVER, WAITING_FOR_SETTINGS
from ktclient.servers import starting
from ktclient.submission import spec as submission_spec
from ktclient.submission.spec import JobSpec
from ktclient.worker.heartbeat import sleep

PATIENCE_SECONDS = 600.0
"""How long a job waits for a server that accepts no requests: the guide's takes 80 s to start,
KTransformers' own tutorial says 4 to 5 minutes."""
AWAY_SECONDS = 86_400.0
"""The same for a server that is away: it crashed at night, or the laptop left its network. Trying
costs nothing, and the jobs behind wait too, where they would fail one after another."""
LONGEST_PAUSE_SECONDS = 15.0
LOOK_SECONDS = 1.0
"""How often a paused job looks whether it was resumed."""
LONGEST_AWAY_PAUSE_SECONDS = 60.0
AWAY = (ConnectionRefused, HostUnknown, HostUnreachable, ServerSilent, UpstreamDown, BadSetting)
"""Nothing listens there, or it cannot be reached; or the settings cannot be read."""
NOT_STARTED = (ServerDidNotStart, WeightsUnavailable)
"""The embedded server was killed while it loaded, or cannot load at all."""
MOST_STARTS = 6
"""How often an attempt starts the embedded server in vain, half a minute in all: one that is killed
comes up at the next start, and one that cannot load never does."""


def tries(attempt: RunningAttempt, spec: JobSpec) -> tenacity.Retrying:
    """Retry while the server is starting, full or away, or the settings are: for `PATIENCE_SECONDS`
    or `AWAY_SECONDS` since that began. Within the job's timeout, also as long as the server's
    Retry-After says, and as long as `ktserver` is starting it, which has limits of its own."""
    refusals = _Refusals(attempt, spec)
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((*NEVER_ACCEPTED, *NOT_STARTED, BadSetting)),
        wait=refusals.pause,
        stop=refusals.are_enough,
        before=refusals.note_time,
        sleep=refusals.rest,
        before_sleep=refusals.tell,
        reraise=True,
    )


class Paused(Exception):
    """Nothing was sent, because the queue or the server is paused."""


def require_resumed(attempt: RunningAttempt) -> None:
    """Raises `Paused`."""
    if not attempt.is_open():
        raise Paused


def begin_to_send(attempt: RunningAttempt) -> None:
    """Enter the phase in which the request is sent. Raises `Paused`: then nothing may be sent."""
    if not attempt.enter_phase_if_open(phases.SENDING):
        raise Paused


def wait_for_resume(attempt: RunningAttempt) -> None:
    """Wait for the end of the pause. Raises `WorkCancelled`."""
    told = ""
    while not attempt.is_open():
        reason = blocks.of_attempt(attempt.pauses())
        if attempt.phase != phases.PAUSED:
            attempt.enter_phase(phases.PAUSED)
        if reason != told:
            told = reason
            attempt.record_metrics(last_refusal=reason)
        sleep(attempt, LOOK_SECONDS)


@contextlib.contextmanager
def shortage_named(attempt: RunningAttempt) -> Iterator[None]:
    """Turn every error that means that memory ran out into `NotEnoughMemory`, which is waited for,
    if the server cannot have the whole request yet, else into `OutOfMemory`."""
    try:
        yield
    except Exception as error:
        if not no_memory.is_it(error):
            raise
        is_before = attempt.phase in phases.BEFORE_SENDING or attempt.phase == phases.SENDING
        kind = NotEnoughMemory if is_before else OutOfMemory
        raise kind(f"its worker: {no_memory.words(error)}") from error


@dataclass
class _Refusals:
    """The refusals of one attempt. The first starts the wait: time before it, such as in the
    server's queue, does not count."""

    attempt: RunningAttempt
    spec: JobSpec
    began: float = 0.0
    is_away: bool | None = None
    changed: float = 0.0
    """When a server that was away became one that is starting or full, or the other way round."""
    starts: int = 0
    told: str = ""
    tried_at: str = ""
    """When the last try began (UTC)."""

    def note_time(self, _: tenacity.RetryCallState) -> None:
        self.tried_at = clock.now()

    def rest(self, seconds: float) -> None:
        """The pause between two tries. A job that may have other servers has the next try as soon
        as one of them has answered another job: it has room now. Raises `WorkCancelled`."""
        attempt, spec = self.attempt, self.spec
        if not spec.others:
            sleep(attempt, seconds)
            return
        servers = {*spec.others, spec.server} - {submission_spec.server_of(attempt.spec)}
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if attempt.has_succeeded(servers, self.tried_at):
                return
            sleep(attempt, min(LOOK_SECONDS, left))

    def pause(self, state: tenacity.RetryCallState) -> float:
        """Exponential backoff, but never less than the server's Retry-After."""
        is_long_gone = self._waited() > PATIENCE_SECONDS
        longest = LONGEST_AWAY_PAUSE_SECONDS if is_long_gone else LONGEST_PAUSE_SECONDS
        return max(tenacity.wait_exponential(min=1, max=longest)(state), _due(_error(state)))

    def are_enough(self, state: tenacity.RetryCallState) -> bool:
        error, timeout = _error(state), self.spec.timeout
        self._note(state.attempt_number == 1, error)
        if isinstance(error, NOT_STARTED):
            return self.starts >= MOST_STARTS
        if due := _due(error):
            return self._waited() + due > timeout
        limit = AWAY_SECONDS if self.is_away else PATIENCE_SECONDS
        if timeout < PATIENCE_SECONDS:  # a timeout of minutes should not become a day
            limit = min(limit, timeout)
        elif self._waited() < AWAY_SECONDS and time.monotonic() - self.changed < limit:
            return False  # one that comes back after hours may still have to load its model
        if self._waited() < limit:
            return False
        server = self.spec.server
        if self.spec.others:  # another one may have the job by now
            server = submission_spec.server_of(self.attempt.spec)
        is_coming = starting.at(self.attempt.state.servers, server) is not None
        return not is_coming or self._waited() >= max(limit, timeout)

    def _note(self, is_first: bool, error: BaseException | None) -> None:
        now, is_away = time.monotonic(), isinstance(error, AWAY)
        if is_first:
            self.began = now
        if is_away is not self.is_away:
            self.is_away, self.changed = is_away, now
        self.starts += isinstance(error, NOT_STARTED)

    def tell(self, state: tenacity.RetryCallState) -> None:
        """Log each reason once: a night has many tries."""
        error = _error(state)
        is_of_settings = isinstance(error, BadSetting)
        phase = WAITING_FOR_SETTINGS if is_of_settings else WAITING_FOR_SERVER
        if self.attempt.phase != phase:
            self.attempt.enter_phase(phase)
        reason = str(error)
        self.attempt.record_metrics(last_refusal=reason)
        if reason != self.told:
            self.told = reason
            self.attempt.log_event(
                "settings unusable" if is_of_settings else "not accepted", reason=reason
            )

    def _waited(self) -> float:
        return time.monotonic() - self.began


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _due(error: BaseException | None) -> float:
    """Seconds until the server wants a retry; 0 if it does not say."""
    return (error.retry_after or 0.0) if isinstance(error, (RateLimited, ServerBusy)) else 0.0
