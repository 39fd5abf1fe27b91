"""Bounds of a connection, which the HTTP server has none of: how many, and how long one may be
without a request."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import struct
from http import HTTPStatus
from typing import Any

from ktclient.gateway.wire.errors import SERVER, ApiError

HEADER_SECONDS = 30.0
"""How long a client may take from its first byte, or from connecting, to the end of a request's
headers."""
IDLE_SECONDS = 75
"""How long a connection without a request is kept: longer than nginx keeps its own, so that it is
not closed at the moment in which a request is sent."""
STALLED_SECONDS = 300.0
"""How long a client may take nothing of an answer that waits for it."""
MOST_CONNECTIONS = 10_000
_OTHER_FILES = 256
"""Descriptors for what is no connection: the store's threads, the log, queries to servers."""


def raise_file_limit() -> int:
    """Let this process open as many files as it may. Returns for how many connections that is
    enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    room = MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else soft - _OTHER_FILES
    return max(16, min(MOST_CONNECTIONS, room))


class BoundedConnection(asyncio.Protocol):
    """Put before the server's own protocol class, whose methods it calls. Its timer is for clients
    that send no request, or an endless one; bodies have bounds of their own."""

    most: int = MOST_CONNECTIONS
    transport: Any
    cycle: Any
    loop: asyncio.AbstractEventLoop
    connections: set[Any]
    _timer: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._close_with(_FULL)
            return
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_answered:
            self._stop_timer()
        else:
            self._start_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()  # type: ignore[misc]
        if self._is_answered and self.cycle.more_body:  # what comes of the body is dropped
            self._start_timer()

    @property
    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._end_stall()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The buffers of both sides are full. The kernel would wait for ever for a client that
        still acknowledges."""
        super().pause_writing()
        self._end_stall()
        self._stalled = self.loop.call_later(STALLED_SECONDS, self._reset)

    def resume_writing(self) -> None:
        self._end_stall()
        super().resume_writing()

    def _reset(self) -> None:
        """Close without what was not taken yet, which the kernel would keep."""
        self._stalled = None
        peer = self.transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _end_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def send_400_response(self, msg: str) -> None:
        """What the server calls for bytes that are no request."""
        self._close_with(_MALFORMED)

    def _is_late(self) -> None:
        self._timer = None
        self._close_with(_LATE)

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEADER_SECONDS, self._is_late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close_with(self, error: ApiError) -> None:
        """Close; with an error, unless the client has had a part of an answer."""
        if self.transport.is_closing():
            return
        if self.cycle is None or not self.cycle.response_started:
            self.transport.write(_bytes_of(error))
        self.transport.close()


_FULL = ApiError(
    503,
    "the gateway has as many connections as it can. Send the request again later",
    SERVER,
    "too_many_connections",
    is_curable=True,
    headers={"retry-after": "5"},
)
_LATE = ApiError(
    408,
    f"no whole request came within {HEADER_SECONDS:.0f} s",
    code="request_timeout",
    is_curable=True,
)
_MALFORMED = ApiError(
    400, "this is no HTTP request, or its headers are too large", code="malformed_request"
)


def _bytes_of(error: ApiError) -> bytes:
    body = json.dumps(error.body).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **error.all_headers,
    }
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
