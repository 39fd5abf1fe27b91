"""The one place where HTTP clients are made.

A long request is silent for half an hour: TCP keepalive is set on its socket. It is set through
httpx2's `trace` extension when the connection is made, not with a custom transport, which would
lose the client's limits, proxies and TLS settings (openai-python #3269, #3270).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx2

from ktclient.errors import BadSetting
from ktclient.request import bounds, response_body
from ktclient.request.bounds import StreamBounds, Wire, socket_of
from ktclient.request.incoming.received import Received
from ktclient.request.short_client import ShortClient
from ktclient.urls import is_local as is_local
from ktclient.wording import quote

Client = httpx2.Client
Response = httpx2.Response
Watch = Callable[[str, "socket.socket | None"], None]
_Kind = TypeVar("_Kind", bound=httpx2.Client)

KEEPALIVE_IDLE_SECONDS = 30
"""Below the shortest idle limit seen on home routers and cloud NATs (60 s)."""
KEEPALIVE_INTERVAL_SECONDS = 15
SILENT_PEER_SECONDS = 600
"""A peer that acknowledges nothing for this long is dead. Long, because waiting for a link that
comes back costs nothing, and a second prefill costs half an hour."""

SHORT_TIMEOUT = httpx2.Timeout(10.0, connect=5.0)
"""For queries that a healthy server answers immediately, even during a prefill."""
CONNECT_SECONDS = 15.0
UPLOAD_STALL_SECONDS = 120.0
"""Longest pause while sending: sglang reads nothing while it tokenizes another prompt."""


def short_client(api_key: str | None, url: str) -> ShortClient:
    """A client for probes, token counts and aborts. Raises `BadSetting`."""
    client = _client(url, SHORT_TIMEOUT, ShortClient)
    if api_key:
        client.headers["Authorization"] = f"Bearer {usable_key(api_key)}"
    return client


def probe_client(
    api_key: str | None, url: str, seconds: float, watch: Callable[[socket.socket | None], None]
) -> ShortClient:
    """A client for one query that another thread may cut short: `watch` gets its socket.
    Raises `BadSetting`."""
    client = short_client(api_key, url)
    client.timeout = httpx2.Timeout(seconds)
    client.watch = watch
    return client


def long_client(
    url: str, watch: Watch, max_tokens: int, received: Received | None = None
) -> httpx2.Client:
    """A client for one long request, answered with `max_tokens` at most. Raises `BadSetting`.

    No read timeout: silence is normal for half an hour, and the caller enforces the deadline.
    `watch` gets each step of the connection (httpcore's trace names, such as
    "http11.send_request_body.complete") and the socket, once there is one. With `received`, which
    follows its bytes, a response is read as an answer, and raises `StreamTooLarge`; of any other
    response, only the beginning is read.
    """
    wire = Wire(late=lambda: bounds.reply_too_slow(url), flood=lambda: bounds.head_too_large(url))

    def observe(request: httpx2.Request) -> None:
        request.extensions["trace"] = _Trace(watch, wire)
        request.stream = SentOnce(request.read())

    def bound(response: httpx2.Response) -> None:
        response_body.bound(response, wire, StreamBounds(url, max_tokens), received)

    timeout = httpx2.Timeout(
        connect=CONNECT_SECONDS, read=None, write=UPLOAD_STALL_SECONDS, pool=CONNECT_SECONDS
    )
    client = _client(url, timeout, httpx2.Client)
    client.event_hooks = {"request": [observe], "response": [bound]}
    return client


_OWN_HEADERS = frozenset(
    {
        *("host", "accept", "accept-encoding", "connection", "user-agent"),
        *("content-type", "content-length", "transfer-encoding"),
    }
)


def send_only_own_headers(client: httpx2.Client, api_key: str | None) -> None:
    """Let this client send the given key, or none, and no header beyond HTTP's own. openai's
    library adds what OPENAI_CUSTOM_HEADERS, OPENAI_ORG_ID and OPENAI_PROJECT_ID hold, which may be
    another server's key, and a placeholder where there is no key."""

    def strip(request: httpx2.Request) -> None:
        for name in set(request.headers) - _OWN_HEADERS:
            del request.headers[name]
        if api_key is not None:
            request.headers["Authorization"] = f"Bearer {api_key}"

    hooks = client.event_hooks
    client.event_hooks = {**hooks, "request": [*hooks["request"], strip]}


def usable_key(api_key: str) -> str:
    """The key, if a header can carry it. Raises `BadSetting`, which does not contain the key."""
    if not (api_key.isascii() and api_key.isprintable() and api_key == api_key.strip()):
        raise BadSetting("the API key contains characters that are not allowed in an HTTP header")
    return api_key


def _client(url: str, timeout: httpx2.Timeout, kind: type[_Kind]) -> _Kind:
    """httpx2's own client, with the environment's proxies and certificates, except that a server on
    this machine is never reached through a proxy."""
    try:
        return kind(timeout=timeout, trust_env=not is_local(url), verify=_verify(url))
    except (OSError, ValueError, ImportError, httpx2.InvalidURL) as error:
        raise BadSetting(
            "the environment's proxy or certificate settings (HTTPS_PROXY, ALL_PROXY, "
            f"SSL_CERT_FILE …) cannot be used: {quote(str(error))}"
        ) from error


def _verify(url: str) -> ssl.SSLContext:
    """httpx2's default for https. Plain http needs no certificates, and loading them costs each
    worker 1 MB: an empty context, which would trust no certificate (redirects are not followed)."""
    if url.startswith("http://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx2.create_ssl_context()


class _Trace:
    """Forwards the steps of one request, and turns on keepalive for its socket."""

    def __init__(self, watch: Watch, wire: Wire) -> None:
        self._watch, self._wire = watch, wire
        self._in_tunnel = False

    def __call__(self, step: str, info: dict[str, object]) -> None:
        self._wire.watch(step, info)
        sock = socket_of(step, info)
        if sock is not None and step.endswith(".connect_tcp.complete"):
            keep_alive(sock)
        if step.endswith(".send_request_headers.started"):
            # A proxy's CONNECT looks like a request of its own, but is not our request.
            self._in_tunnel = getattr(info.get("request"), "method", b"") == b"CONNECT"
        if not (self._in_tunnel and step.startswith("http")):
            self._watch(step, sock)


class SentOnce(httpx2.SyncByteStream):
    """A request body that is freed while it is sent: it cannot be sent again, and its megabytes are
    not kept while waiting for the answer."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    def __iter__(self) -> Iterator[bytes]:
        body, self._body = self._body, None
        if body is None:
            raise RuntimeError("a long request is sent only once; this one was sent already")
        for start in range(0, len(body), _UPLOAD_BLOCK):
            yield body[start : start + _UPLOAD_BLOCK]


def bare_request(url: str) -> httpx2.Request:
    """A request without a body, to replace one that was answered."""
    return httpx2.Request("POST", url)


def answering_client(body: bytes, content_type: str) -> httpx2.Client:
    """A client whose answer comes from memory: it makes no connection."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body, headers={"content-type": content_type})

    return httpx2.Client(transport=httpx2.MockTransport(answer))


_UPLOAD_BLOCK = 1 << 16


def keep_alive(sock: socket.socket) -> None:
    """Probe a silent peer, so that no NAT drops the connection and a dead peer is noticed."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    probes = SILENT_PEER_SECONDS // KEEPALIVE_INTERVAL_SECONDS
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_SECONDS),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_SECONDS),
        ("TCP_KEEPCNT", probes),
        ("TCP_USER_TIMEOUT", SILENT_PEER_SECONDS * 1000),
    ):
        if hasattr(socket, name):  # macOS uses other names for some
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
