"""The root of the product's error tree, and the leaves that concern jobs.

The whole tree is drawn in `ktclient.errors`. It starts here because this is the lowest package.
"""

from __future__ import annotations


class KtjobError(Exception):
    """Something the caller can react to. The message says what happened, to what, and what to do.

    `cause` is a short stable code: it is stored with a failed job and used by scripts.
    """

    cause = "error"
    may_try_again = False
    """Whether a job that ended so may be tried once more by itself: only where no answer was given
    and the work of the next attempt can make sure that nobody still computes this one."""


class NoSuchJob(KtjobError):
    """No job has this id, or this prefix of an id."""

    cause = "no_such_job"


class AmbiguousId(KtjobError):
    """A prefix that several jobs share."""

    cause = "ambiguous_id"


class IllegalTransition(KtjobError):
    """The job is no longer in the state that this change needs: somebody else was first."""

    cause = "illegal_transition"


class StoreUnusable(KtjobError):
    """The state directory or its database cannot be read or written."""

    cause = "store_unusable"


class StoreDamaged(StoreUnusable):
    """The database is not what we wrote: waiting does not mend it, a backup does."""

    cause = "store_damaged"


class StoreTooNew(StoreUnusable):
    """The database was written by a newer ktjob."""

    cause = "store_too_new"


class DetachFailed(KtjobError):
    """A detached process ended before it said that it was ready."""

    cause = "detach_failed"


class PartFailed(KtjobError):
    """A part of a job did not succeed, so the whole cannot; what others answered is kept."""

    cause = "part_failed"


class PartRestarted(KtjobError):
    """A part began anew after some of its text was passed on, so the whole begins anew too."""

    cause = "part_restarted"
    may_try_again = True


class NotTold(KtjobError):
    """Somebody could not be told how a job ended; it is tried again."""

    cause = "not_told"


class WorkerStopped(KtjobError):
    """Raised in a worker that was told to stop: the attempt ends, the job may have another."""

    cause = "worker_stopped"
    may_try_again = True


class WorkCancelled(KtjobError):
    """Raised by the work itself when it stopped because a cancel was wished for."""

    cause = "cancelled"
