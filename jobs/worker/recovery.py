"""Recovery after a crash.

A RUNNING job whose worker is proved dead goes back to QUEUED while it has an attempt left, and
becomes FINISHED(LOST) after its last one. The message names the phase in which the worker died, and
the text so far, if there is any: it is kept. The next attempt sees the dead one, and must make sure
before its request that no server still computes it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from jobs.errors import IllegalTransition, NotYours
from jobs.model import Attempt, Job, Outcome, Status
from jobs.worker import overdue

if TYPE_CHECKING:
    from jobs.store.state_dir import StateDir
    from jobs.store.store import Store

HowItDied = Callable[[int], str | None]
"""Pid -> "was killed by SIGKILL", for children whose death the caller has seen."""


def recover(store: Store, state: StateDir, how_it_died: HowItDied = lambda pid: None) -> list[Job]:
    """Close every running job whose worker is dead, and fail every queued job whose prerequisite
    failed. Returns the jobs that still run."""
    alive = []
    for job in store.in_status(Status.RUNNING):
        attempt = store.attempt(job)
        if attempt is None or is_worker_alive(store, state, attempt):
            alive.append(job)
        else:
            _close(store, job, attempt, how_it_died)
    store.fail_doomed()
    return alive


def is_worker_alive(store: Store, state: StateDir, attempt: Attempt) -> bool:
    """Whether the attempt's worker lives: it holds the job's lock, or the process with its identity
    exists. Both are asked, because lock files may be removed, replaced or copied, and because
    another container with this state directory has other process ids."""
    from jobs.processes import identity

    lock = state.worker_lock(attempt.job_id)
    with contextlib.suppress(NotYours):  # then only the identity counts
        if identity.is_held(lock):
            return True
    if identity.is_same_process_alive(attempt.worker):
        return True
    return not os.path.lexists(lock) and _may_live_elsewhere(store, attempt)


def _may_live_elsewhere(store: Store, attempt: Attempt) -> bool:
    """Without a lock file nothing proves the death of a worker in another container."""
    from jobs.processes import namespaces

    claims = [
        event.data.get("pid_namespace")
        for event in store.events(attempt.job_id)
        if event.kind == "claimed" and event.attempt == attempt.number
    ]
    namespace = next((one for one in claims if isinstance(one, int)), 0)
    return bool(namespace) and namespaces.may_live(attempt.worker, namespace)


def _close(store: Store, job: Job, attempt: Attempt, how_it_died: HowItDied) -> None:
    death = how_it_died(attempt.worker.pid)
    outcome, cause, message = _verdict(store, job, attempt, death)
    if outcome is Outcome.LOST:
        if store.requeue(job.id, job.attempt, cause, message):
            return  # one more try
        # A cancel request may have arrived meanwhile.
        outcome, cause, message = _verdict(store, store.job(job.id), attempt, death)
    # The job may have finished, or another process may have recovered it, meanwhile.
    with contextlib.suppress(IllegalTransition):
        store.finish(job.id, job.attempt, outcome, cause, message)


def _verdict(
    store: Store, job: Job, attempt: Attempt, death: str | None
) -> tuple[Outcome, str, str]:
    from jobs.processes import identity

    if job.cancel_requested_at:
        message = "its worker ended while it was being cancelled"
        if overdue.was_killed(store, attempt):
            message = (
                f"cancelled on request. Its worker (process {attempt.worker.pid}) did not react "
                f"and was killed{_what_is_kept(store, job)}"
            )
        return Outcome.CANCELLED, "cancelled", message
    if attempt.worker.boot_id != identity.boot_id():
        what = "the machine was restarted"
    else:
        what = f"its worker (process {attempt.worker.pid}) {death or 'was killed'}"
    return Outcome.LOST, "worker_died", what_was_lost(store, what, job, attempt)


def what_was_lost(store: Store, what: str, job: Job, attempt: Attempt) -> str:
    """The message of an attempt that ended with its worker: what happened, the phase, and what is
    kept."""
    return (
        f"{what} in phase {attempt.phase!r}, attempt {attempt.number} of {job.max_attempts}"
        f"{_what_is_kept(store, job)}"
    )


def _what_is_kept(store: Store, job: Job) -> str:
    """A sentence about the text of this attempt or of an earlier one; empty if there is none, as in
    a prefill."""
    if not store.has_output(job.id):
        return ""
    return f". The text received so far is kept: show it with `ktjob result {job.id}`"
