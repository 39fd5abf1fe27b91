"""A server of the standard library that serves from a thread, for the length of a block."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

Server = TypeVar("Server", bound=socketserver.BaseServer)


@contextmanager
def served(server: Server, *held: threading.Event) -> Iterator[Server]:
    """Close the server at the end. `held`: what its handlers may still wait for; it is set then."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            for one in held:
                one.set()
            server.shutdown()
            thread.join()
