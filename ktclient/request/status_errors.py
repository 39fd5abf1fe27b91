"""Map an HTTP error status and its message to a leaf of the error tree."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import urlsplit

from jobs.errors import KtjobError
from ktclient.errors import (
    BadGateway,
    BodyTooLarge,
    CacheExhausted,
    DoesNotFit,
    ModelUnknown,
    ProxyGaveUp,
    ProxyRefused,
    QueueTimedOut,
    RateLimited,
    Redirected,
    RequestFailed,
    ServerBroke,
    ServerBusy,
    ServerRefused,
    TlsFailed,
    Unauthorized,
    UpstreamDown,
    WrongAddress,
)
from ktclient.request.refusals import busy, full_cache, too_long, unknown_model
from ktclient.wording import quote, spoken

_PLAIN_HTTP = ("http request was sent to https port", "http request to an https server")
"""What nginx and Go answer to plain http on a TLS port, each with a 400."""
_NEVER_OF_LENGTH = (401, 402, 403, 407, 408, 429)
"""Statuses whose own meaning stands, whatever the words."""
_OVERLOADED = 529
"""Anthropic's, and that of gateways after it: a 503 that names its reason."""
QUICK_SECONDS = 30.0
"""Seconds. A 503 with an unknown message sooner than this: the request was not accepted. Later, it
may be a proxy that reports a server's death in the middle of a prefill, as Envoy does. The same for
an error that says in words that no connection was made: a proxy with several servers may have tried
another one after the first had died."""
_IMMEDIATELY_SECONDS = 5.0
"""Seconds. A status that may mean both: sooner than this, that no connection was made, because a
refusal is reported quickly (nginx 1.22: 0.03 s); later, that the server had it and died, for which
nginx gives the very same page."""
_NOT_CONNECTED = (
    "connection refused",  # Go's dial (Caddy, Traefik, ngrok), Envoy's "delayed connect error: 111"
    "connect() failed",
    "connection failure",  # Envoy's reset reasons: also "remote" and "local connection failure"
    "dial tcp",
    "no route to host",
    "no such host",
    "name or service not known",
    "failed to connect",
    "unable to connect",
    "cannot connect",
    "could not connect",
    "unable to reach the origin",  # cloudflared
    "no live upstreams",  # nginx
    "no healthy upstream",  # Envoy
    "no available server",  # Traefik
    "no server is available",  # HAProxy, after three retries of a second
    "err_ngrok_8012",
)
"""How proxies and tunnels say that they made no connection to the server."""
_NGROK, _OFFLINE = "ngrok-error-code", "ERR_NGROK_3200"
"""ngrok's header, and its code for a tunnel that is offline, with a 404."""


_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
"""Retry-After, also with a fraction, which some servers send."""


@dataclass(frozen=True)
class Refusal:
    """An HTTP error status. `seconds` since the whole request was sent."""

    url: str
    status: int
    words: str
    codes: str = ""
    seconds: float = 0.0
    headers: Mapping[str, str] | None = None

    def says(self, *phrases: str) -> bool:
        told = f"{self.words} {self.codes}".lower()
        return any(phrase.lower() in told for phrase in phrases)

    def header(self, name: str) -> str:
        return quote((self.headers or {}).get(name, ""))

    def __str__(self) -> str:
        if self.words.startswith(str(self.status)):  # "502 Bad Gateway", as pages are titled
            return f"HTTP {self.words}"
        return f"HTTP {self.status}: {self.words}" if self.words else f"HTTP {self.status}"


def by_status(refusal: Refusal) -> KtjobError:
    return _by_words(refusal) or _by_gateway(refusal) or _by_number(refusal)


def _by_gateway(refusal: Refusal) -> KtjobError | None:
    """The error if a gateway reports that it did not reach the server: then nothing was accepted.
    None if it did not report that, or if the server may have had the request.

    LiteLLM gives its 500 "Connection error" for both, like a 502.
    """
    status, is_litellm = refusal.status, refusal.status == 500 and refusal.says("litellm")
    may_be = status in _BEFORE_OR_AFTER or (is_litellm and refusal.says("connection error"))
    says_so = (may_be or is_litellm or status == 503) and refusal.says(*_NOT_CONNECTED)
    is_offline = status == 404 and _OFFLINE in f"{refusal.words} {refusal.header(_NGROK)}"
    is_sure = status in _NEVER_CONNECTED or is_offline or (says_so and _is_quick(refusal))
    if not is_sure and not (may_be and _is_immediate(refusal)):
        return _lost(refusal) if is_litellm and may_be else None
    error = UpstreamDown(
        f"a gateway answers at {refusal.url}, but reaches no server behind it: start that server, "
        f"or its tunnel ({refusal})"
    )
    error.is_certain = is_sure
    return error


def _is_quick(refusal: Refusal) -> bool:
    return refusal.seconds <= QUICK_SECONDS


def _is_immediate(refusal: Refusal) -> bool:
    broke = ("disconnect/reset", "prematurely closed", "connection reset", "terminat")
    return refusal.seconds <= _IMMEDIATELY_SECONDS and not refusal.says(*broke)


def _by_words(refusal: Refusal) -> KtjobError | None:
    """Errors that only the message text identifies; None if it does not."""
    url, status = refusal.url, refusal.status
    if status == 413 and too_long.is_of_rate(f"{refusal.words} {refusal.codes}"):
        return _rate_limited(refusal)  # Groq's, for more tokens than a minute's
    if is_cache_exhausted(refusal):
        return cache_exhausted(refusal)
    if is_too_long(refusal):
        if too_long.is_of_answer(refusal.words):
            return DoesNotFit(f"the answer does not fit: lower --max-tokens ({url}, {refusal})")
        return DoesNotFit(
            "the document does not fit: shorten it, lower --max-tokens, or use a server with a "
            f"larger window ({url}, {refusal})"
        )
    if status == 400 and refusal.says(*_PLAIN_HTTP):
        return TlsFailed(f"{url} speaks TLS: write https:// instead of http://")
    if status in (400, 404, 422) and unknown_model.is_said(refusal.words, refusal.codes):
        return ModelUnknown(
            f"the server at {url} does not serve this model: choose another with --model, or omit "
            f"--model ({refusal})"
        )
    return None


def is_cache_exhausted(refusal: Refusal) -> bool:
    """Whether its cache ran full of several requests, of which none is wrong in itself."""
    return refusal.status >= 500 and full_cache.is_said(refusal.words)


def cache_exhausted(refusal: Refusal) -> CacheExhausted:
    """Its error, in words of its own."""
    return CacheExhausted(
        f"the requests that {refusal.url} computed together needed more tokens than its KV cache "
        "has, and it dropped them; this one need not be too long. ktjob gives that server one "
        "request at a time now. If it happens again, other clients use the cache too: start "
        f"llama-server with -np 1 or a larger -c ({refusal})"
    )


def is_too_long(refusal: Refusal) -> bool:
    """Whether it says that prompt or answer exceed what the server can hold. Some say so with a
    status of 500 and more, though they have computed nothing."""
    if refusal.status < 400 or refusal.status in _NEVER_OF_LENGTH:
        return False
    told = (refusal.words, refusal.codes)
    return too_long.is_of_answer(refusal.words) or any(map(too_long.is_of_prompt, told))


def _by_number(refusal: Refusal) -> KtjobError:
    status = refusal.status
    if status == 500 and _is_quick(refusal):
        status = busy.status(refusal.words) or status
    if status == 429:
        return _rate_limited(refusal)
    if status in (503, _OVERLOADED):
        return _unavailable(refusal)
    if 300 <= status < 400:
        return _redirected(refusal)
    kind, cure = _CURES.get(status, _SERVERS_FAULT if status >= 500 else _REQUESTS_FAULT)
    host, time = urlsplit(refusal.url).hostname, spoken(refusal.seconds)
    return kind(cure.format(at=refusal.url, host=host, time=time) + f" ({refusal})")


_NEVER_CONNECTED = (521, 522, 523, 525, 526, 530)
"""Cloudflare: the server refused the connection (521), did not answer it (522), has no route (523),
no TLS (525) or no trusted certificate (526), or its tunnel is down (530). All come before the
request is passed on."""
_BEFORE_OR_AFTER = (502, 520, 527)
"""nginx, Caddy, HAProxy and Traefik give 502 both for a refused connection and for one that the
server closed without an answer; Cloudflare's 520 and 527 (Railgun) are as vague."""
NO_SERVER_BEHIND = (*_NEVER_CONNECTED, *_BEFORE_OR_AFTER)
_REQUESTS_FAULT = (ServerRefused, "the server at {at} rejected the request; nothing was computed")
_SERVERS_FAULT = (ServerBroke, "the server at {at} failed; see its log")
_KEY: tuple[type[RequestFailed], str] = (
    Unauthorized,
    "the server at {at} rejected the API key, or none was sent: set KTJOB_API_KEY",
)
_GAVE_UP: tuple[type[RequestFailed], str] = (
    ProxyGaveUp,
    "a proxy in front of {at} timed out after {time}, while the server may still compute: raise "
    "its timeout (nginx: proxy_read_timeout 3600s), or connect directly",
)
_LOST: tuple[type[RequestFailed], str] = (
    BadGateway,
    "a proxy in front of {at} lost the server behind it, or never reached it: see the server's log",
)
_CURES: Mapping[int, tuple[type[KtjobError], str]] = {
    401: _KEY,
    403: _KEY,
    404: (
        WrongAddress,
        "there is no /v1/chat/completions at {at}: use the server's URL without a path, like "
        "http://host:40001",
    ),
    407: (
        ProxyRefused,
        "no server answers at {at}: the proxy set in the environment requires authentication. "
        "Set HTTP_PROXY (HTTPS_PROXY) as http://user:password@proxy:port, or set NO_PROXY={host}",
    ),
    408: _GAVE_UP,
    413: (
        BodyTooLarge,
        "a proxy in front of {at} does not accept a request this large: raise its limit (nginx: "
        "client_max_body_size 64m), or connect directly",
    ),
    **dict.fromkeys(NO_SERVER_BEHIND, _LOST),
    504: _GAVE_UP,
    524: _GAVE_UP,  # Cloudflare's 504
}


def _rate_limited(refusal: Refusal) -> RateLimited:
    when, after = _when(refusal)
    return RateLimited(
        f"{refusal.url} accepts no more requests now; try again {when} ({refusal})", after
    )


def _when(refusal: Refusal) -> tuple[str, float | None]:
    """When to try again, as text and in seconds."""
    after = _retry_after(refusal.header("retry-after"))
    return "later" if after is None else f"in {spoken(after)}", after


def _retry_after(text: str) -> float | None:
    """Seconds to wait, from a number or a date (RFC 9110, 10.2.3)."""
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def is_known_busy(refusal: Refusal) -> bool:
    return (
        refusal.status in (429, 503, _OVERLOADED)
        and not own_limit(refusal)
        and bool(_busy(refusal))
    )


def is_busy(refusal: Refusal) -> bool:
    """Whether it says so, or is a 503 so soon that nothing was computed."""
    is_soon = refusal.status in (503, _OVERLOADED) and _is_quick(refusal)
    return is_known_busy(refusal) or (is_soon and not own_limit(refusal))


def _busy(refusal: Refusal) -> str:
    """Why the server is busy, as a phrase for a message; empty if the 503 does not say."""
    if refusal.says("queue is full", "queue full", "too many", "overloaded", "capacity"):
        return "is full: its queue accepts no more requests"
    if refusal.says("waiting timeout"):  # SGLANG_REQ_WAITING_TIMEOUT, scheduler.py:1809
        return "let it wait too long"
    if refusal.says("loading", "starting", "not ready", "warming", "initializ"):
        return "is still starting"
    if refusal.says("draining", "shutting down", "terminating"):
        return "is shutting down: it finishes current requests and accepts no new ones"
    return ""


def own_limit(refusal: Refusal) -> str:
    """SGLANG_REQ_RUNNING_TIMEOUT (scheduler.py:1115): a 503 for a request that was being
    computed."""
    if not refusal.says("running timeout"):
        return ""
    return "This is a server-side limit: raise SGLANG_REQ_RUNNING_TIMEOUT on the server."


def _unavailable(refusal: Refusal) -> RequestFailed:
    url, busy = refusal.url, _busy(refusal)
    if limit := own_limit(refusal):
        return ServerBroke(f"the server at {url} stopped the request ({refusal}). {limit}")
    if busy == "let it wait too long":
        return QueueTimedOut(
            f"the request waited too long in the queue of {url} and was dropped before it was "
            f"computed ({refusal}); try again when the server is less busy, or raise "
            "SGLANG_REQ_WAITING_TIMEOUT on it"
        )
    if not busy and (not _is_quick(refusal) or refusal.says("disconnect/reset")):
        return _lost(refusal)
    when, after = _when(refusal)
    return ServerBusy(
        f"the server at {url} {busy or 'accepts no requests now'}; try again {when} ({refusal})",
        after,
    )


def _lost(refusal: Refusal) -> RequestFailed:
    kind, cure = _LOST
    return kind(cure.format(at=refusal.url) + f" ({refusal})")


def _redirected(refusal: Refusal) -> Redirected:
    target = refusal.header("location")
    where = f"to {target}" if target else "without a target"
    return Redirected(
        f"{refusal.url} redirects {where}; redirects are not followed, because the request carries "
        f"a key and a document. Name the server's own URL with --server ({refusal})"
    )
