"""The error tree: one leaf for each different reaction of the caller.

KtjobError                          everything below; `.cause` is a short stable code
├── BadInput                        change what you typed or handed in
│   ├── DocumentUnusable            the document: missing, empty, binary, undecodable
│   └── BadSetting                  the configuration file or an environment variable
├── NoSuchJob, AmbiguousId          look up the id
├── NoSuchProfile                   look up the name: ktserver profiles
├── PlanRefused                     change an option of `ktserver plan`
├── NoServer                        start or name a server
│   ├── ServerUnreachable           nothing was asked: a job tries again for a while
│   │   ├── ConnectionRefused       start the server, or the tunnel to it
│   │   ├── HostUnknown             correct the name, or mend DNS
│   │   ├── HostUnreachable         mend the network, VPN or firewall
│   │   ├── ConnectionBroke         it closed before the request was whole
│   │   ├── ServerSilent            it takes connections and answers nothing
│   │   └── ProxyRefused            mend the proxy that the environment names
│   ├── TlsFailed                   mend the certificate, or https:// against http://
│   ├── EmbeddedNotInstalled        pip install 'ktjob[embedded]'
│   ├── WeightsUnavailable          the embedded model could not be fetched
│   └── ServerDidNotStart           read its log
├── DoesNotFit                      a shorter document, or fewer answer tokens
├── RequestFailed                   the request reached a server and gave no answer
│   ├── ServerBusy                  a 503: starts, drains or is full; a job tries again for a while
│   ├── RateLimited                 a 429: the same, when the server says
│   ├── QueueTimedOut               it waited longer than the server lets it; the same
│   ├── Unauthorized                set KTJOB_API_KEY
│   ├── WrongAddress                not the base URL of an OpenAI-compatible server
│   ├── ModelUnknown                name another with --model
│   ├── Redirected                  give the URL that it leads to
│   ├── BodyTooLarge                raise a proxy's limit, or go direct
│   ├── ServerRefused               the server calls the request wrong
│   ├── ServerBroke                 a 500, or a limit of the server's own: read its log
│   ├── ErrorInStream               the same, inside of an answer that began with HTTP 200
│   ├── ProxyGaveUp                 raise a proxy's timeout, or go direct
│   ├── BadGateway                  a proxy lost the server: as StreamCut
│   ├── StreamCut                   the connection ended in the middle; may be tried once more
│   ├── ServerDied                  and nothing listens there any more: read its log
│   ├── LinkLost                    the network was gone for too long: mend it
│   ├── ServerHung                  it answers nobody: restart it
│   ├── AbortedByServer             somebody or something aborted it there
│   ├── EmptyAnswer                 the server finished without a word
│   ├── EmptyStream                 it ended the stream without saying anything at all
│   ├── WebPage                     HTML for an answer: a login or a proxy in between
│   ├── ProtocolError               what came back is not the OpenAI protocol
│   └── DeadlineExceeded            it took longer than its --timeout
├── JobUnsuccessful                 from `Job.result()`: the job ended without success
│   ├── JobFailed, JobCancelled, JobLost
├── PartFailed                      mend what ended a part, then `ktjob retry`
├── ResultsUnwritable               mend what keeps the file from being written, then `ktjob retry`
├── PartRestarted                   inside the worker: the whole begins anew with its part
├── HostTrouble                     the machine of --host: reach it, or install ktjob there
├── NotFinished                     from `Job.wait(timeout)`: not yet
├── NotTold                         nobody could be told how a job ended: tried again
├── WorkCancelled                   inside the worker: a cancel was wished for
├── WorkerStopped                   inside the worker: SIGTERM, by somebody or a shutdown
├── IllegalTransition               somebody else was first
├── DetachFailed                    the runner did not start: read its log
├── AnotherServer                   stop the one that runs, or give another name or port
├── ServerInUse                     wait for its jobs, or --force
├── StillStarting                   wait longer
└── StoreUnusable                   disk full, read-only, locked
    ├── StoreDamaged                not a database, or a broken one: put a backup back
    └── StoreTooNew                 written by a newer ktjob
"""

from __future__ import annotations

from jobs.errors import (
    AmbiguousId,
    DetachFailed,
    IllegalTransition,
    KtjobError,
    NoSuchJob,
    NotTold,
    PartFailed,
    PartRestarted,
    StoreDamaged,
    StoreTooNew,
    StoreUnusable,
    WorkCancelled,
    WorkerStopped,
)
from server_bundle.errors import (
    AnotherServer,
    EmbeddedNotInstalled,
    NoServer,
    NoSuchProfile,
    PlanRefused,
    ServerDidNotStart,
    ServerInUse,
    StillStarting,
    WeightsUnavailable,
)

__all__ = [
    "AbortedByServer",
    "AmbiguousId",
    "AnotherServer",
    "BadGateway",
    "BadInput",
    "BadSetting",
    "BodyTooLarge",
    "ConnectionBroke",
    "ConnectionRefused",
    "DeadlineExceeded",
    "DetachFailed",
    "DocumentUnusable",
    "DoesNotFit",
    "EmbeddedNotInstalled",
    "EmptyAnswer",
    "EmptyStream",
    "ErrorInStream",
    "HostTrouble",
    "HostUnknown",
    "HostUnreachable",
    "IllegalTransition",
    "JobCancelled",
    "JobFailed",
    "JobLost",
    "JobUnsuccessful",
    "KtjobError",
    "LinkLost",
    "ModelUnknown",
    "NoServer",
    "NoSuchJob",
    "NoSuchProfile",
    "NotFinished",
    "NotTold",
    "PartFailed",
    "PartRestarted",
    "PlanRefused",
    "ProtocolError",
    "ProxyGaveUp",
    "ProxyRefused",
    "QueueTimedOut",
    "RateLimited",
    "Redirected",
    "RequestFailed",
    "ResultsUnwritable",
    "ServerBroke",
    "ServerBusy",
    "ServerDidNotStart",
    "ServerDied",
    "ServerHung",
    "ServerInUse",
    "ServerRefused",
    "ServerSilent",
    "ServerUnreachable",
    "StillStarting",
    "StoreDamaged",
    "StoreTooNew",
    "StoreUnusable",
    "StreamCut",
    "TlsFailed",
    "Unauthorized",
    "WebPage",
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
    """The server was never asked. What a job meets so is tried again for a while."""

    cause = "server_unreachable"


class ConnectionRefused(ServerUnreachable):
    """Nothing listens at the address."""

    cause = "connection_refused"


class HostUnknown(ServerUnreachable):
    """The name of the host leads to no address."""

    cause = "dns_failure"


class HostUnreachable(ServerUnreachable):
    """No way to the host, or no word from it."""

    cause = "host_unreachable"


class ConnectionBroke(ServerUnreachable):
    """The connection was closed or reset before the request was whole."""

    cause = "connection_reset"


class ServerSilent(ServerUnreachable):
    """It takes connections, and neither reads nor answers."""

    cause = "server_silent"


class ProxyRefused(ServerUnreachable):
    """The proxy that the environment names does not lead there."""

    cause = "proxy_refused"


class TlsFailed(NoServer):
    """No trusted connection: the certificate, or TLS on one side only. Never tried again."""

    cause = "tls_error"


class DoesNotFit(KtjobError):
    """Document, question and answer together exceed what the server can hold."""

    cause = "does_not_fit"


class RequestFailed(KtjobError):
    """The request was sent, or begun, and no whole answer came back."""

    cause = "request_failed"


class ServerBusy(RequestFailed):
    """It starts, drains or is full, and has computed nothing."""

    cause = "server_busy"


class RateLimited(RequestFailed):
    """Too many requests. `retry_after` is in seconds, None where the server named none."""

    cause = "rate_limited"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QueueTimedOut(RequestFailed):
    """The server dropped it from its queue, before it computed anything."""

    cause = "queue_timed_out"


class Unauthorized(RequestFailed):
    cause = "unauthorized"


class WrongAddress(RequestFailed):
    cause = "wrong_address"


class ModelUnknown(RequestFailed):
    cause = "model_unknown"


class Redirected(RequestFailed):
    """Redirections are not followed: the key and the document would go along."""

    cause = "redirected"


class BodyTooLarge(RequestFailed):
    cause = "body_too_large"


class ServerRefused(RequestFailed):
    cause = "server_refused"


class ServerBroke(RequestFailed):
    cause = "server_broke"


class ErrorInStream(RequestFailed):
    cause = "error_in_stream"


class ProxyGaveUp(RequestFailed):
    """Never tried again: the server may still compute, and the proxy would give up once more."""

    cause = "proxy_gave_up"


class BadGateway(RequestFailed):
    cause = "bad_gateway"
    may_try_again = True


class StreamCut(RequestFailed):
    cause = "stream_cut"
    may_try_again = True


class ServerDied(RequestFailed):
    cause = "server_died"
    may_try_again = True


class LinkLost(RequestFailed):
    cause = "link_lost"
    may_try_again = True


class ServerHung(RequestFailed):
    cause = "server_hung"
    may_try_again = True


class AbortedByServer(RequestFailed):
    cause = "aborted_by_server"
    was_read = True
    """False when the server ran nothing of the prompt: a refusal whose words it dropped."""


class EmptyAnswer(RequestFailed):
    cause = "empty_answer"


class EmptyStream(RequestFailed):
    cause = "empty_stream"


class WebPage(RequestFailed):
    cause = "web_page"


class ProtocolError(RequestFailed):
    cause = "protocol_error"


class DeadlineExceeded(RequestFailed):
    cause = "deadline_exceeded"


NEVER_ACCEPTED = (ServerUnreachable, ServerBusy, RateLimited, QueueTimedOut)
"""What may be asked again without a thought: no server has computed anything for it."""


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


class ResultsUnwritable(KtjobError):
    """The requests of a batch were asked, and the file of their results cannot be written. They are
    kept: `ktjob result` has them."""

    cause = "results_unwritable"


class HostTrouble(KtjobError):
    """Another machine that was named with --host cannot be reached, or has no ktjob for us."""

    cause = "host_trouble"


class NotFinished(KtjobError):
    """The job has not ended in the time given to wait. It goes on."""

    cause = "not_finished"
