"""The root of the product's error classes, and the classes that concern jobs.

`ktclient.errors` shows the whole tree. The root is here because this is the lowest package.
"""

from __future__ import annotations


class KtjobError(Exception):
    """An error the caller can react to. The message says what happened, to what, and what to do.

    `cause` is a short stable code: it is stored with a failed job and used by scripts.
    """

    cause = "error"
    may_try_again = False
    """Whether a job that ended with this error may have another attempt automatically: only where
    the server gave no answer and the next attempt can make sure that no server still computes this
    one."""


class NoSuchJob(KtjobError):
    """No job has this id or an id with this prefix."""

    cause = "no_such_job"


class NothingStored(NoSuchJob):
    """There is no job database: no job was submitted yet, or its folder is out of sight."""

    cause = "nothing_stored"


class AmbiguousId(KtjobError):
    """A prefix that several jobs share."""

    cause = "ambiguous_id"


class IllegalTransition(KtjobError):
    """The job is not in the state that this change needs: another process changed it first."""

    cause = "illegal_transition"


class StoreUnusable(KtjobError):
    """The state directory or its database cannot be read or written."""

    cause = "store_unusable"
    is_disk = False
    """Whether the disk returned an I/O error: after that, open files may be of no use any more."""


class StoreDamaged(StoreUnusable):
    """The database is damaged: waiting does not help, restoring a backup does."""

    cause = "store_damaged"


class StoreTooNew(StoreUnusable):
    """The database was written by a newer ktjob."""

    cause = "store_too_new"


class StoreCopied(StoreUnusable):
    """The database is a copy of another state directory's: it is only read until `ktjob adopt`."""

    cause = "store_copied"


class StoreLinked(StoreUnusable):
    """The database is a second name (a hard link) of another state directory's file."""

    cause = "store_linked"


class StoreTorn(StoreUnusable):
    """A file of the database was removed while other processes use it; they must close it first."""

    cause = "store_torn"


class StoreRemoved(StoreUnusable):
    """The database was deleted while it was open, and is not coming back."""

    cause = "store_removed"


class NotYours(StoreUnusable, PermissionError):
    """A file or folder of the state directory belongs to another user, or cannot be opened."""

    cause = "not_yours"


class DetachFailed(KtjobError):
    """A detached process ended before it reported that it was ready.

    `reason` is the last that was said about it, in one line.
    """

    cause = "detach_failed"

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message


class PartFailed(KtjobError):
    """A part of a job did not succeed, so the job cannot. The answers of other parts are kept."""

    cause = "part_failed"


class PartRestarted(KtjobError):
    """A part restarted after some of its text had been copied, so the whole job restarts too."""

    cause = "part_restarted"
    may_try_again = True


class NotTold(KtjobError):
    """A notification about a job's end could not be delivered; it is retried."""

    cause = "not_told"


class CannotTellYet(NotTold):
    """A notification could not be tried, because of something on this machine that may change, such
    as its settings. It uses up no try."""

    cause = "cannot_tell_yet"


class WorkerStopped(KtjobError):
    """Raised in a worker after a stop signal: the attempt ends, the job may have another."""

    cause = "worker_stopped"
    may_try_again = True


class OutOfMemory(KtjobError):
    """A worker could not get the memory that it needed."""

    cause = "out_of_memory"
    may_try_again = True


class NotEnoughMemory(OutOfMemory):
    """The same before the server had the whole request."""

    cause = "not_enough_memory"
    may_try_again = False


class WorkCancelled(KtjobError):
    """Raised by the work when it stopped because of a cancel request."""

    cause = "cancelled"
