"""Conductors: jobs whose work is done by parts. Each part is a job under its conductor; it is
stored, admitted and retried like any other job.

A conductor sends no request to a server and keeps no state in memory. A kill of it costs nothing:
its next attempt adds the same parts again, which exist already, and continues to wait. So its
`max_attempts` may be large. It needs a pool of its own, or its parts would wait for it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from jobs.errors import IllegalTransition, PartFailed, PartRestarted, StoreUnusable, WorkCancelled
from jobs.model import Job, NewJob, Outcome, Status
from jobs.store import outage
from jobs.store.families import Tally
from jobs.worker.attempt import RunningAttempt

LOOK_SECONDS = 0.5
"""Interval for checking the parts. SQLite has no event for another process's commit."""
TAIL_SECONDS = 0.2
"""The same interval while a part's text is passed on."""
WAKE_SECONDS = 5.0
"""How often a conductor ensures that a runner lives. The runner also finds dead workers."""
ATTEMPTS = 100
"""The `max_attempts` of a conductor."""

Result = TypeVar("Result")


def _no_look(tally: Tally) -> None:
    """For a caller that wants no tallies."""


def add(running: RunningAttempt, parts: Sequence[NewJob]) -> list[Job]:
    """Store parts and wake the runner. Parts that exist already are returned unchanged.
    Each needs `parent=performing.job_id` and a unique `part`. Raises `WorkCancelled`."""
    try:
        return retry_until_usable(running, lambda: running.parts.add(parts))
    except IllegalTransition:
        _raise_if_cancelled(running)
        raise  # another process took over or ended the job: this attempt has nothing left to do


def wait_for_parts(
    running: RunningAttempt,
    total: int | None = None,
    *,
    tolerant: bool = False,
    look: Callable[[Tally], None] = _no_look,
) -> list[Job]:
    """Wait until all parts have ended, and return them, oldest first. The progress of the phase is
    how many have succeeded (`tolerant`: ended) of `total`, by default the number of stored parts.

    Once a part has failed, queued parts are cancelled, unless `tolerant`: their work would be
    useless until the cause is fixed. `look` is called with each new tally. Raises `WorkCancelled`
    when all have ended after a cancel request.
    """
    watch = _Watch(running)
    while True:
        tally = retry_until_usable(running, running.parts.tally)
        done = tally.ended if tolerant else tally.succeeded
        running.progress(done, total or tally.total, "parts")
        look(tally)
        _raise_if_cancelled(running)
        if tally.failed and tally.queued and not tolerant:
            retry_until_usable(running, running.parts.withdraw)
        elif tally.ended == tally.total:
            return retry_until_usable(running, running.parts.all)
        watch.rest(LOOK_SECONDS)


def until_succeeded(
    running: RunningAttempt, total: int | None = None, look: Callable[[Tally], None] = _no_look
) -> list[Job]:
    """The same where every part must succeed. Raises also `PartFailed`, once all have ended."""
    ended = wait_for_parts(running, total, look=look)
    failed = [part for part in ended if part.outcome is not Outcome.SUCCEEDED]
    # A part that was only withdrawn is not the cause.
    culprits = [part for part in failed if part.outcome is not Outcome.CANCELLED] or failed
    if culprits:
        raise PartFailed(_what_failed(running, culprits, ended))
    return ended


def stream_part_output(
    running: RunningAttempt, name: str, look: Callable[[Tally], None] = _no_look
) -> Job:
    """Copy a part's output into this job as it arrives, until the part has ended. Returns the part.
    `look` is called with each new tally.

    Raises `PartFailed`, `WorkCancelled`, and `PartRestarted` when the part began another attempt
    after some of its text had been copied: then this job's next attempt starts over as well.
    """
    watch = _Watch(running)
    after, attempt = 0, 0
    while True:
        part = retry_until_usable(running, lambda: running.parts.named(name))
        assert part is not None
        if after and part.attempt != attempt:
            raise PartRestarted(
                f"part {name} (job {part.id}) restarted after part of its answer had been copied "
                "into this job"
            )
        attempt = part.attempt
        after = retry_until_usable(running, functools.partial(_pass_pieces, running, part, after))
        look(retry_until_usable(running, running.parts.tally))
        _raise_if_cancelled(running)
        if part.status is Status.FINISHED:
            break
        watch.rest(TAIL_SECONDS)
    if part.outcome is not Outcome.SUCCEEDED:
        raise PartFailed(_what_failed(running, [part], [part]))
    return part


def _pass_pieces(running: RunningAttempt, part: Job, after: int) -> int:
    """Copy the pieces after piece `after`. Returns the `seq` of the last one."""
    for piece in running.parts.pieces(part, after):
        running.output(piece.text, piece.channel)
        after = piece.seq
    return after


def retry_until_usable(running: RunningAttempt, action: Callable[[], Result]) -> Result:
    """Run `action`, and retry it while the store cannot be used. Raises what `heartbeat` raises,
    and `StoreUnusable` when waiting cannot help."""
    told = False
    while True:
        try:
            return action()
        except StoreUnusable as error:
            if not outage.is_temporary(error):
                raise
            if not told:
                outage.report(f"retrying: {error}")
                told = True
        running.heartbeat()
        time.sleep(outage.REST_SECONDS)


class _Watch:
    """Sleeps between two checks, and regularly ensures that a runner lives."""

    def __init__(self, running: RunningAttempt) -> None:
        self._running = running
        self._woken_at = time.monotonic()

    def rest(self, seconds: float) -> None:
        if time.monotonic() - self._woken_at >= WAKE_SECONDS:
            self._running.parts.wake()
            self._woken_at = time.monotonic()
        time.sleep(seconds)


def _raise_if_cancelled(running: RunningAttempt) -> None:
    """On a cancel request, wait until the parts have ended, then raise `WorkCancelled`. The request
    reached the parts in the same transaction (`Store.request_cancel`)."""
    running.heartbeat()
    if not retry_until_usable(running, running.is_cancel_requested):
        return
    watch = _Watch(running)
    running.enter_phase("cancelling")
    while True:
        tally: Tally = retry_until_usable(running, running.parts.tally)
        if tally.ended == tally.total:
            kept = (
                f"; the answers of {tally.succeeded} of its parts are kept" if tally.total else ""
            )
            raise WorkCancelled(f"cancelled on request{kept}")
        running.heartbeat()
        watch.rest(LOOK_SECONDS)


def _what_failed(running: RunningAttempt, failed: Sequence[Job], all_of_them: Sequence[Job]) -> str:
    first = failed[0]
    more = f" ({len(failed) - 1} more failed)" if len(failed) > 1 else ""
    kept = sum(part.outcome is Outcome.SUCCEEDED for part in all_of_them)
    others = f"The answers of {kept} parts are kept. " if kept else ""
    return (
        f"part {first.part} (job {first.id}) {first.state.lower()}{more}: {first.message} "
        f"[{first.cause}]. {others}Fix the cause, then run `ktjob retry {running.job_id}`: it "
        "repeats only the unfinished parts"
    )
