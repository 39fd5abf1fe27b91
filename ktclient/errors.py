"""The error tree: one leaf for each different reaction of the caller.

KtjobError                          everything below; `.cause` is a short stable code
├── BadInput                        change what you typed or handed in
│   ├── DocumentUnusable            the document: missing, empty, binary, undecodable
│   └── BadSetting                  the configuration file or an environment variable
├── NoSuchJob, AmbiguousId          look up the id
├── NoServer                        start or name a server
│   ├── ServerUnreachable           nothing answers there
│   ├── EmbeddedNotInstalled        pip install 'ktjob[embedded]'
│   ├── WeightsUnavailable          the embedded model could not be fetched
│   └── ServerDidNotStart           read its log
├── DoesNotFit                      a shorter document, or fewer answer tokens
├── RequestFailed                   the request reached a server and gave no answer
│   ├── Unauthorized                set KTJOB_API_KEY
│   ├── WrongAddress                404: not the base URL of an OpenAI-compatible server
│   ├── ServerRefused               the server calls the request wrong
│   ├── ServerBusy                  try later: 429, 503
│   ├── ServerBroke                 a 5xx, or an error inside the stream: read its log
│   ├── StreamCut                   the connection ended in the middle
│   ├── AbortedByServer             somebody or something aborted it there
│   ├── EmptyAnswer                 the server finished without a word
│   ├── ProtocolError               what came back is not the OpenAI protocol
│   └── DeadlineExceeded            it took longer than its --timeout
├── JobUnsuccessful                 from `Job.result()`: the job ended without success
│   ├── JobFailed, JobCancelled, JobLost
├── NotFinished                     from `Job.wait(timeout)`: not yet
├── WorkCancelled                   inside the worker: a cancel was wished for
├── WorkerStopped                   inside the worker: SIGTERM, by somebody or a shutdown
├── IllegalTransition               somebody else was first
├── DetachFailed                    the runner did not start: read its log
└── StoreUnusable                   disk full, read-only, not a database
    └── StoreTooNew                 written by a newer ktjob
"""

from __future__ import annotations

from jobs.errors import (
    AmbiguousId,
    DetachFailed,
    IllegalTransition,
    KtjobError,
    NoSuchJob,
    StoreTooNew,
    StoreUnusable,
    WorkCancelled,
    WorkerStopped,
)
from server_bundle.errors import (
    EmbeddedNotInstalled,
    NoServer,
    ServerDidNotStart,
    WeightsUnavailable,
)

__all__ = [
    "AbortedByServer",
    "AmbiguousId",
    "BadInput",
    "BadSetting",
    "DeadlineExceeded",
    "DetachFailed",
    "DocumentUnusable",
    "DoesNotFit",
    "EmbeddedNotInstalled",
    "EmptyAnswer",
    "IllegalTransition",
    "JobCancelled",
    "JobFailed",
    "JobLost",
    "JobUnsuccessful",
    "KtjobError",
    "NoServer",
    "NoSuchJob",
    "NotFinished",
    "ProtocolError",
    "RequestFailed",
    "ServerBroke",
    "ServerBusy",
    "ServerDidNotStart",
    "ServerRefused",
    "ServerUnreachable",
    "StoreTooNew",
    "StoreUnusable",
    "StreamCut",
    "Unauthorized",
    "WeightsUnavailable",
    "WorkCancelled",
    "WorkerStopped",
    "WrongAddress",
]


class BadInput(KtjobError):
    """The caller handed in something that cannot be used; nothing was stored."""

    cause = "bad_input"


class DocumentUnusable(BadInput):
    """The document is missing, unreadable, empty, binary or not text in its encoding."""

    cause = "document_unusable"


class BadSetting(BadInput):
    """The configuration file or an environment variable makes no sense."""

    cause = "bad_setting"


class ServerUnreachable(NoServer):
    """No connection to the server: nothing was sent."""

    cause = "server_unreachable"


class DoesNotFit(KtjobError):
    """Document, question and answer together exceed what the server can hold."""

    cause = "does_not_fit"


class RequestFailed(KtjobError):
    """The request was sent, or begun, and no whole answer came back."""

    cause = "request_failed"


class Unauthorized(RequestFailed):
    cause = "unauthorized"


class WrongAddress(RequestFailed):
    cause = "wrong_address"


class ServerRefused(RequestFailed):
    cause = "server_refused"


class ServerBusy(RequestFailed):
    cause = "server_busy"


class ServerBroke(RequestFailed):
    cause = "server_broke"


class StreamCut(RequestFailed):
    cause = "stream_cut"
    may_try_again = True


class AbortedByServer(RequestFailed):
    cause = "aborted_by_server"


class EmptyAnswer(RequestFailed):
    cause = "empty_answer"


class ProtocolError(RequestFailed):
    cause = "protocol_error"


class DeadlineExceeded(RequestFailed):
    cause = "deadline_exceeded"


class JobUnsuccessful(KtjobError):
    """The job ended without success. `partial_text` is what had arrived by then."""

    cause = "job_unsuccessful"

    def __init__(self, message: str, partial_text: str = "") -> None:
        super().__init__(message)
        self.partial_text = partial_text


class JobFailed(JobUnsuccessful):
    cause = "job_failed"


class JobCancelled(JobUnsuccessful):
    cause = "job_cancelled"


class JobLost(JobUnsuccessful):
    cause = "job_lost"


class NotFinished(KtjobError):
    """The job has not ended in the time given to wait. It goes on."""

    cause = "not_finished"
