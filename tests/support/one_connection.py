"""A server for one connection, which does with it what a test says."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from jobs import errors
from ktclient.request import stream
from ktclient.request.stream import LongRequest, StreamEvent

Behaviour = Callable[[socket.socket], None]


@contextlib.contextmanager
def server(behave: Behaviour) -> Iterator[str]:
    """A server for one connection, which does with it what it is told."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                behave(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):  # for a client that never came
                socket.create_connection(listener.getsockname(), timeout=1).close()
            thread.join()


def read_request(connection: socket.socket) -> bytes:
    """All of one request, by its content length; returns its first line."""
    with connection.makefile("rb") as incoming:
        first, length = incoming.readline(), 0
        while (line := incoming.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        incoming.read(length)
    return first


def replaying(status: int, content_type: str, body: bytes) -> Behaviour:
    """Reads the request and answers so."""
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\nconnection: close\r\n\r\n"

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head.encode() + body)

    return behave


def reset(connection: socket.socket) -> None:
    """Close with a reset instead of an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def failure_of(url: str, message: str = "text") -> errors.KtjobError:
    """What one real request to a server ends with."""
    events: list[StreamEvent] = []
    with pytest.raises(errors.KtjobError) as failed:
        events.extend(stream.stream(LongRequest(url, "m", message, 8, "rid"), 60.0))
    return failed.value
