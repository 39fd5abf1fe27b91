"""The error tree: one leaf for each different reaction of the caller.

KtjobError                          everything below; `.cause` is a short stable code
├── BadInput                        fix what you typed or passed in
│   ├── DocumentUnusable            the document: missing, empty, binary, undecodable
│   └── BadSetting                  the configuration file or an environment variable
├── NoSuchJob, AmbiguousId          look up the id (NothingStored: no job yet)
├── NoSuchProfile, NoSuchLock       look up the name
├── PlanRefused                     change an option of `ktserver plan`
├── FetchRefused, FetchFailed       change the option; fetch again, and only the rest is fetched
├── NoServer                        start or name a server
│   ├── ServerUnreachable           no request was sent: a job retries for a while
│   │   ├── ConnectionRefused       start the server, or the tunnel to it
│   │   ├── HostUnknown             correct the name, or fix DNS
│   │   ├── HostUnreachable         fix the network, VPN or firewall
│   │   ├── ConnectionBroke         closed before the whole request was sent
│   │   ├── ServerSilent            accepts connections but never answers
│   │   ├── ReplyTooSlow            a short query's reply did not end: fix the network, or the URL
│   │   ├── UpstreamDown            a gateway answers, but no server behind it: start that
│   │   └── ProxyRefused            fix the proxy set in the environment
│   ├── TlsFailed                   fix the certificate, or swap https:// and http://
│   ├── EmbeddedNotInstalled        add the extra `embedded`
│   ├── WeightsUnavailable          the embedded model could not be fetched
│   └── ServerDidNotStart           read its log
├── DoesNotFit                      shorten the document, or lower --max-tokens
├── RequestFailed                   the request reached a server and got no whole answer
│   ├── ServerBusy                  503, 529: starting, draining or full; a job retries for a while
│   ├── RateLimited                 a 429: a job retries when the server says
│   ├── QueueTimedOut               the server's queue timeout expired; a job retries
│   ├── Unauthorized                set KTJOB_API_KEY
│   ├── WrongAddress                not the base URL of an OpenAI-compatible server
│   ├── ReplyTooLarge               the same: no LLM server replies that much to a short query
│   ├── ModelUnknown                name another with --model
│   ├── Redirected                  use the URL that it redirects to
│   ├── BodyTooLarge                raise the proxy's limit, or connect directly
│   ├── ServerRefused               the server rejected the request
│   ├── ServerBroke                 a 500, or a server-side time limit: read its log
│   ├── ErrorInStream               the same, inside a stream that began with HTTP 200
│   ├── CacheExhausted              requests together filled its KV cache: another attempt, alone
│   ├── ProxyGaveUp                 raise the proxy's timeout, or connect directly
│   ├── BadGateway                  a proxy lost the server: like StreamCut
│   ├── StreamCut                   the connection broke mid-answer; may be retried once
│   ├── ServerDied                  the same, and nothing listens any more: read its log
│   ├── LinkLost                    the network was down for too long: fix it
│   ├── ServerHung                  it answers no request: restart it
│   ├── AbortedByServer             the request was aborted on the server
│   ├── EmptyAnswer                 no word of an answer, perhaps thoughts; they are kept
│   ├── EmptyStream                 the server ended the stream itself, without any data
│   ├── WebPage                     HTML instead of an answer: a login page or a proxy
│   ├── ProtocolError               the response does not follow the OpenAI protocol
│   ├── StreamTooLarge              a stream without line ends, or with far too many bytes or lines
│   ├── AnswerTooLong               the server ignores max_tokens; the text so far is kept
│   └── DeadlineExceeded            it took longer than its --timeout
├── JobUnsuccessful                 from `Job.result()`: the job ended without success
│   ├── JobFailed, JobCancelled, JobLost
├── PartFailed                      fix what ended a part, then `ktjob retry`
├── ResultsUnwritable               make the file writable, then `ktjob retry`
├── PartRestarted                   inside the worker: the combined answer restarts with its part
├── HostTrouble                     the machine of --host: make it reachable, or install ktjob there
├── NotFinished                     from `Job.wait(timeout)`: not yet
├── NotTold, CannotTellYet          a notification failed, and is retried; fix [notify]
├── WorkCancelled, WorkerStopped    inside the worker: a cancel request; SIGTERM
├── OutOfMemory                     in a worker: free memory; a new attempt
│   └── NotEnoughMemory             the same before the request was sent: a job retries for a while
├── IllegalTransition               another process was first
├── DetachFailed                    the runner did not start: read its log
├── AnotherServer                   stop the running one, or use another name or port
├── InstallRefused, InstallFailed   change what it says; run `ktserver install` again
├── ServerInUse, StillStarting      wait for its jobs, or --force; wait longer
└── StoreUnusable                   disk full, read-only, locked
    ├── StoreCopied, StoreLinked    a copy of another queue: read it, or `ktjob adopt`
    ├── StoreRemoved, StoreTorn     its files were deleted while they were in use
    ├── StoreDamaged, StoreTooNew   restore a backup; use the newer ktjob
    └── NotYours                    a file of another user, or you are root there
"""

from __future__ import annotations

# One statement for each package.
# isort: off
from jobs.errors import (
    AmbiguousId as AmbiguousId,
    CannotTellYet as CannotTellYet,
    DetachFailed as DetachFailed,
    IllegalTransition as IllegalTransition,
    KtjobError as KtjobError,
    NoSuchJob as NoSuchJob,
    NothingStored as NothingStored,
    NotEnoughMemory as NotEnoughMemory,
    NotTold as NotTold,
    NotYours as NotYours,
    OutOfMemory as OutOfMemory,
    PartFailed as PartFailed,
    PartRestarted as PartRestarted,
    StoreCopied as StoreCopied,
    StoreDamaged as StoreDamaged,
    StoreLinked as StoreLinked,
    StoreRemoved as StoreRemoved,
    StoreTooNew as StoreTooNew,
    StoreTorn as StoreTorn,
    StoreUnusable as StoreUnusable,
    WorkCancelled as WorkCancelled,
    WorkerStopped as WorkerStopped,
)
from server_bundle.errors import (
    AnotherServer as AnotherServer,
    EmbeddedNotInstalled as EmbeddedNotInstalled,
    FetchFailed as FetchFailed,
    FetchRefused as FetchRefused,
    InstallFailed as InstallFailed,
    InstallRefused as InstallRefused,
    NoServer as NoServer,
    NoSuchLock as NoSuchLock,
    NoSuchProfile as NoSuchProfile,
    PlanRefused as PlanRefused,
    ServerDidNotStart as ServerDidNotStart,
    ServerInUse as ServerInUse,
    StillStarting as StillStarting,
    WeightsUnavailable as WeightsUnavailable,
)

# isort: on


class BadInput(KtjobError):
    """The caller passed something that cannot be used; nothing was stored."""

    cause = "bad_input"


class DocumentUnusable(BadInput):
    """The document is missing, unreadable, empty, binary or not text in its encoding."""

    cause = "document_unusable"


class BadSetting(BadInput):
    """The configuration file or an environment variable has an invalid value."""

    cause = "bad_setting"


class ServerUnreachable(NoServer):
    """No request reached the server. A job retries for a while."""

    cause = "server_unreachable"


class ConnectionRefused(ServerUnreachable):  # nothing listens at the address
    cause = "connection_refused"


class HostUnknown(ServerUnreachable):  # the host name does not resolve
    cause = "dns_failure"


class HostUnreachable(ServerUnreachable):  # no route to the host, or it does not respond
    cause = "host_unreachable"


class ConnectionBroke(ServerUnreachable):
    """The connection was closed or reset before the whole request was sent."""

    cause = "connection_reset"


class ServerSilent(ServerUnreachable):
    """The server accepts connections, but neither reads nor answers."""

    cause = "server_silent"


class ReplyTooSlow(ServerUnreachable):
    """The reply to a short query was still incomplete after its total time."""

    cause = "reply_too_slow"


class UpstreamDown(ServerUnreachable):
    """A gateway, proxy or tunnel answers, but does not reach the server behind it. `is_certain`:
    False if the server may have had the request, and died."""

    cause = "upstream_down"
    is_certain = True


class ProxyRefused(ServerUnreachable):
    """The proxy set in the environment does not reach the server."""

    cause = "proxy_refused"


class TlsFailed(NoServer):
    """No trusted connection: a bad certificate, or TLS on one side only. Never retried."""

    cause = "tls_error"


class DoesNotFit(KtjobError):  # document, question and answer exceed what the server can hold
    cause = "does_not_fit"


class RequestFailed(KtjobError):
    """The request was sent, at least in part, and no whole answer came back."""

    cause = "request_failed"


class ServerBusy(RequestFailed):
    """Starting, draining or full; nothing was computed. `retry_after` is in seconds, None if the
    server gave none."""

    cause = "server_busy"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(RequestFailed):
    """Too many requests. `retry_after` is in seconds, None if the server gave none."""

    cause = "rate_limited"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QueueTimedOut(RequestFailed):
    """The server dropped the request from its queue before it computed anything."""

    cause = "queue_timed_out"


class Unauthorized(RequestFailed):
    cause = "unauthorized"


class WrongAddress(RequestFailed):
    cause = "wrong_address"


class ReplyTooLarge(RequestFailed):
    """The reply to a short query exceeds what any server sends."""

    cause = "reply_too_large"


class ModelUnknown(RequestFailed):
    cause = "model_unknown"


class Redirected(RequestFailed):
    """Redirects are not followed: they would forward the key and the document."""

    cause = "redirected"


class BodyTooLarge(RequestFailed):
    cause = "body_too_large"


class ServerRefused(RequestFailed):
    cause = "server_refused"


class ServerBroke(RequestFailed):
    cause = "server_broke"


class ErrorInStream(RequestFailed):
    cause = "error_in_stream"


class CacheExhausted(RequestFailed):
    """All requests that the server computed together filled its KV cache, and it dropped them."""

    cause = "cache_exhausted"
    may_try_again = True


class ProxyGaveUp(RequestFailed):
    """Never retried: the server may still compute, and the proxy would time out again."""

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
    """False when the server computed nothing: it refused the request and dropped the reason."""


class EmptyAnswer(RequestFailed):
    cause = "empty_answer"


class EmptyStream(RequestFailed):
    cause = "empty_stream"


class WebPage(RequestFailed):
    cause = "web_page"


class ProtocolError(RequestFailed):
    cause = "protocol_error"


class StreamTooLarge(RequestFailed):
    """An event, or the stream as a whole, exceeds what an answer of this size can need."""

    cause = "stream_too_large"


class AnswerTooLong(RequestFailed):
    """The text exceeds by far what `max_tokens` allows."""

    cause = "answer_too_long"


class DeadlineExceeded(RequestFailed):
    cause = "deadline_exceeded"


NEVER_ACCEPTED = (ServerUnreachable, ServerBusy, RateLimited, QueueTimedOut, NotEnoughMemory)
"""Safe to retry at any time: no server has computed anything for these."""


class JobUnsuccessful(KtjobError):
    """The job ended without success. `partial_text` is the text that had arrived by then."""

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
    """All requests of a batch were sent, but the result file cannot be written. The results are
    kept: `ktjob result` prints them."""

    cause = "results_unwritable"


class HostTrouble(KtjobError):
    """The machine named with --host cannot be reached, or has no usable ktjob."""

    cause = "host_trouble"


class NotFinished(KtjobError):
    """The job has not ended within the given time. It is still running."""

    cause = "not_finished"


_found = {name: kind for name, kind in globals().items() if isinstance(kind, type)}
__all__ = sorted(name for name, kind in _found.items() if issubclass(kind, KtjobError))
