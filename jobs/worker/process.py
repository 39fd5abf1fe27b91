"""What a worker does for a job: it claims the job, performs it and records how it ended.

A job has a process of its own, forked by the runner, or shares one with other short jobs
(shared.py).

The job does not depend on the runner, which may be killed, upgraded or replaced. Nor does it fail
when the store cannot be used for a while: after the claim, every write waits until it can. On a
stop signal (SIGTERM, SIGINT, SIGQUIT: from an administrator or a shutdown) the worker keeps the
text so far and requeues the job for its next attempt.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace

from jobs import known_secrets
from jobs.errors import (
    IllegalTransition,
    KtjobError,
    OutOfMemory,
    StoreUnusable,
    WorkCancelled,
    WorkerStopped,
)
from jobs.model import Outcome, Status
from jobs.processes import identity, signals
from jobs.store import rerun
from jobs.store.outage import report, retry_until_usable
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.system import no_memory
from jobs.worker import recovery
from jobs.worker.attempt import Perform, RunningAttempt

MEMORY_PAUSE_SECONDS = 5.0


def run_job(
    state: StateDir,
    job_id: str,
    perform: Perform,
    wake: Callable[[], None],
    told: signals.StopRequested | None = None,
) -> bool:
    """Run one job in this thread, from claim to finish. The lock is held until the end of the
    attempt is recorded: a free lock proves that the worker of a running job is dead. Returns
    whether there is more to do: queued jobs or pending notifications. `wake` ensures that a runner
    lives, for parts that the work creates. `told`: what hears the stop signals of a process with
    several jobs; None: a new one, in the main thread only."""
    told, attempt = told or signals.StopRequested(), None
    lock = identity.hold(state.worker_lock(job_id), wait_seconds=1.0)
    if lock is None:
        return False  # another worker has it
    try:
        with Store.open_existing(state) as store:
            attempt = _claimed(store, state, job_id)
            if attempt is not None:
                attempt.told, attempt.parts.wake = told, wake
                _perform_and_record(store, attempt, perform)
            # After a stop signal no runner is started: in a shutdown it would use up the next
            # attempt.
            is_more = not told.by and (store.has(Status.QUEUED) or store.owes_tellings())
        lock.release()  # the end is recorded, and this process may stay to start a runner
        return is_more
    except StoreUnusable as error:
        report(f"giving up job {job_id}: {error}")
        if attempt is not None and (text := attempt.text()):
            report(f"its output so far, which the database may lack:\n{text}")
        raise


def _claimed(store: Store, state: StateDir, job_id: str) -> _Stoppable | None:
    try:
        attempt = store.claim(job_id, identity.mine())
    except IllegalTransition:
        return None  # another worker was first, or the job was cancelled meanwhile
    job, attempts = retry_until_usable(lambda: (store.job(job_id), store.attempts(job_id)))
    earlier = [one for one in attempts if one.number < attempt.number]
    repeated = retry_until_usable(lambda: rerun.attempts_before(store, job))
    return _Stoppable(store, state, job, attempt, earlier, repeated)


def _perform_and_record(store: Store, attempt: _Stoppable, perform: Perform) -> None:
    ending = _ending_of(perform, attempt)
    try:
        ending = _settled(attempt, ending)
        retry_until_usable(lambda: _record(store, attempt, ending))
        with contextlib.suppress(KtjobError):
            attempt.afterwards(store)
    except IllegalTransition as error:
        report(f"attempt {attempt.number} of job {attempt.job_id} was fenced off: {error}")


class _Stoppable(RunningAttempt):
    """A running attempt that ends at its next `heartbeat` after a stop signal."""

    told: signals.StopRequested

    def heartbeat(self) -> bool:
        if self.told.by:
            raise WorkerStopped(f"its worker (process {os.getpid()}) was stopped by {self.told.by}")
        return super().heartbeat()


@dataclass(frozen=True)
class _Ending:
    """How an attempt ended, and whether another one may follow."""

    outcome: Outcome
    cause: str | None = None
    message: str | None = None
    may_try_again: bool = False


def _with_phase(store: Store, ending: _Ending, job_id: str) -> _Ending:
    job = store.job(job_id)
    last = store.attempt(job)
    assert last is not None and ending.message is not None
    return replace(ending, message=recovery.what_was_lost(store, ending.message, job, last))


def _record(store: Store, attempt: RunningAttempt, ending: _Ending) -> None:
    job_id, number = attempt.job_id, attempt.number
    if ending.outcome is Outcome.LOST:
        ending = _with_phase(store, ending, job_id)
    cause, message = ending.cause, ending.message
    again = ending.may_try_again and store.requeue(job_id, number, cause or "", message or "")
    if not again:
        store.finish(job_id, number, ending.outcome, cause, message)


def _ending_of(perform: Perform, attempt: RunningAttempt) -> _Ending:
    try:
        perform(attempt)
    except WorkCancelled as error:
        return _Ending(Outcome.CANCELLED, error.cause, str(error))
    except WorkerStopped as error:
        return _Ending(Outcome.LOST, error.cause, str(error), error.may_try_again)
    except KtjobError as error:
        return _Ending(Outcome.FAILED, error.cause, str(error), error.may_try_again)
    except Exception as error:
        return _of_memory(error) if no_memory.is_it(error) else _bug(attempt, error)
    return _Ending(Outcome.SUCCEEDED)


def _of_memory(error: Exception) -> _Ending:
    """The ending for lack of memory. The job may be next in line again: the pause keeps it from
    using up its attempts within a second."""
    time.sleep(MEMORY_PAUSE_SECONDS)
    words = f"its worker (process {os.getpid()}): {no_memory.words(error)}"
    return _Ending(Outcome.FAILED, OutOfMemory.cause, words, OutOfMemory.may_try_again)


def _settled(attempt: RunningAttempt, ending: _Ending) -> _Ending:
    """The ending once all is on disk. A value that no database can store is a bug of the work; it
    is dropped and reported, because a crash of the worker would repeat the whole job."""
    while True:
        try:
            attempt.flush_durably()
            return ending
        except KtjobError:
            raise
        except Exception as error:
            ending = _bug(attempt, error)


def _bug(attempt: RunningAttempt, error: Exception) -> _Ending:
    """The ending for an unexpected error. Call it in the `except` block."""
    with contextlib.suppress(OSError):  # the log may be on a full disk
        print(known_secrets.hide(traceback.format_exc()), file=sys.stderr, flush=True)
    log = attempt.state.job_log(attempt.job_id)
    # As ASCII: the value that could not be written must not come back in the message.
    words = f"unexpected {type(error).__name__}: {error}".encode("ascii", "backslashreplace")
    return _Ending(Outcome.FAILED, "bug", f"{words.decode()}; see {log}")
