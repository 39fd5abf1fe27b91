"""Work that is done by parts: each a job of its own under the one that conducts, durable, admitted
and tried again like any other.

A conductor asks nobody and keeps nothing in its head. Whoever kills it costs the family nothing:
its next attempt adds the same parts again, which are there already, and goes on waiting. So its
`max_attempts` may be generous. It lives in a pool of its own, or its parts would wait for it.
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
"""Between two looks at the parts. SQLite has no event for another process's commit."""
TAIL_SECONDS = 0.2
"""The same while a part's text is passed on."""
WAKE_SECONDS = 5.0
"""How often a conductor makes sure that a runner lives: also a dead worker is found by it."""
ATTEMPTS = 100
"""For the `max_attempts` of a job that conducts."""

Result = TypeVar("Result")


def add(performing: RunningAttempt, parts: Sequence[NewJob]) -> list[Job]:
    """Store parts and have them started; those that are there already are returned as they are.
    Each needs `parent=performing.job_id` and a `part` of its own. Raises `WorkCancelled`."""
    try:
        return retry_until_usable(performing, lambda: performing.parts.add(parts))
    except IllegalTransition:
        _raise_if_cancelled(performing)
        raise  # the job was taken over or ended by another: nothing is left to be done here


def wait_for_parts(
    performing: RunningAttempt,
    total: int | None = None,
    *,
    tolerant: bool = False,
    look: Callable[[Tally], None] = lambda tally: None,
) -> list[Job]:
    """Wait until all parts have ended, and return them, oldest first. The progress of the phase is
    how many have succeeded (`tolerant`: ended) of `total`, or of those that there are.

    Once one has failed, those that do not run are cancelled, unless `tolerant`: what others would
    compute is for nothing until that is mended. `look` hears of each look. Raises `WorkCancelled`
    when all have ended after a cancel was wished for.
    """
    watch = _Watch(performing)
    while True:
        tally = retry_until_usable(performing, performing.parts.tally)
        done = tally.ended if tolerant else tally.succeeded
        performing.progress(done, total or tally.total, "parts")
        look(tally)
        _raise_if_cancelled(performing)
        if tally.failed and tally.queued and not tolerant:
            retry_until_usable(performing, performing.parts.withdraw)
        elif tally.ended == tally.total:
            return retry_until_usable(performing, performing.parts.all)
        watch.rest(LOOK_SECONDS)


def until_succeeded(performing: RunningAttempt, total: int | None = None) -> list[Job]:
    """The same where each part is needed. Raises `PartFailed` too, when all have ended."""
    ended = wait_for_parts(performing, total)
    failed = [part for part in ended if part.outcome is not Outcome.SUCCEEDED]
    # One that was only withdrawn is not what went wrong.
    culprits = [part for part in failed if part.outcome is not Outcome.CANCELLED] or failed
    if culprits:
        raise PartFailed(_what_failed(performing, culprits, ended))
    return ended


def stream_part_output(performing: RunningAttempt, name: str) -> Job:
    """Pass a part's output on as it is written, until it has ended, and return the part.

    Raises `PartFailed`, `WorkCancelled`, and `PartRestarted` when another attempt began after text
    of one before was passed on: the next attempt of this job begins anew as well.
    """
    watch = _Watch(performing)
    after, attempt = 0, 0
    while True:
        part = retry_until_usable(performing, lambda: performing.parts.named(name))
        assert part is not None
        if after and part.attempt != attempt:
            raise PartRestarted(f"part {name} (job {part.id}) began anew after some of its answer")
        attempt = part.attempt
        after = retry_until_usable(
            performing, functools.partial(_pass_pieces, performing, part, after)
        )
        _raise_if_cancelled(performing)
        if part.status is Status.FINISHED:
            break
        watch.rest(TAIL_SECONDS)
    if part.outcome is not Outcome.SUCCEEDED:
        raise PartFailed(_what_failed(performing, [part], [part]))
    return part


def _pass_pieces(performing: RunningAttempt, part: Job, after: int) -> int:
    """Those after piece `after`; returns which was the last."""
    for piece in performing.parts.pieces(part, after):
        performing.output(piece.text, piece.channel)
        after = piece.seq
    return after


def retry_until_usable(performing: RunningAttempt, action: Callable[[], Result]) -> Result:
    """Do it, again and again while the store cannot be used: nothing is lost meanwhile. Raises what
    `beat` raises."""
    told = False
    while True:
        try:
            return action()
        except StoreUnusable as error:
            if not outage.is_temporary(error):
                raise
            if not told:
                outage.say(f"trying again: {error}")
                told = True
        performing.beat()
        time.sleep(outage.REST_SECONDS)


class _Watch:
    """Rests between two looks, and makes sure now and then that somebody serves the queue."""

    def __init__(self, performing: RunningAttempt) -> None:
        self._performing = performing
        self._woken_at = time.monotonic()

    def rest(self, seconds: float) -> None:
        if time.monotonic() - self._woken_at >= WAKE_SECONDS:
            self._performing.parts.wake()
            self._woken_at = time.monotonic()
        time.sleep(seconds)


def _raise_if_cancelled(performing: RunningAttempt) -> None:
    """Hear a wish for a cancel, after a look at the parts: it has reached them already, in the same
    transaction (`Store.request_cancel`). Waits for their ends, then raises `WorkCancelled`."""
    performing.beat()
    if not retry_until_usable(performing, performing.is_cancel_wished):
        return
    watch = _Watch(performing)
    performing.enter("cancelling")
    while True:
        tally: Tally = retry_until_usable(performing, performing.parts.tally)
        if tally.ended == tally.total:
            kept = (
                f"; the answers of {tally.succeeded} of its parts are kept" if tally.total else ""
            )
            raise WorkCancelled(f"cancelled on request{kept}")
        performing.beat()
        watch.rest(LOOK_SECONDS)


def _what_failed(
    performing: RunningAttempt, failed: Sequence[Job], all_of_them: Sequence[Job]
) -> str:
    first = failed[0]
    more = f" ({len(failed) - 1} more failed)" if len(failed) > 1 else ""
    kept = sum(part.outcome is Outcome.SUCCEEDED for part in all_of_them)
    others = f"The answers of {kept} parts are kept. " if kept else ""
    return (
        f"part {first.part} (job {first.id}) {first.state.lower()}{more}: {first.message} "
        f"[{first.cause}]. {others}When that is mended: ktjob retry {performing.job_id} asks only "
        "what was not answered"
    )
