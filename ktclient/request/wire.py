"""What arrives on the socket of one request: a deadline for all of it, and a bound for headers.

httpx2's timeouts are per read, so one byte a second never ends, and headers without end are read
for ever. httpcore's `trace` extension hands out its network stream when the connection is made; its
`read` and `write` are replaced there, for the reasons given in `connection.py`.
"""

from __future__ import annotations

import functools
import socket
import time
from collections.abc import Callable
from typing import TypeVar

from ktclient.request import bounds

_STREAM_STEPS = (".connect_tcp.complete", ".start_tls.complete")
_BLOCK = 1 << 16
Late = Callable[[], Exception]
Read = Callable[..., bytes]
Done = TypeVar("Done")


class Wire:
    """Bounds for the connection of one request. `late` makes the error for a passed deadline, and
    `flood` the one for too many bytes of headers."""

    def __init__(self, late: Late, flood: Late) -> None:
        self.until = float("inf")
        """The deadline, in monotonic seconds; may be set at any time."""
        self._late, self._flood = late, flood
        self._head_left: int | None = None

    def watch(self, step: str, info: dict[str, object]) -> None:
        """Follow one step of httpcore's trace."""
        if step.endswith(_STREAM_STEPS):
            self._bind(info.get("return_value"))
        elif step.endswith(".receive_response_headers.started"):
            self._head_left = bounds.HEAD_BYTES
        elif step.endswith(".receive_response_headers.complete"):
            self._head_left = None

    def _bind(self, stream: object) -> None:
        read, write = getattr(stream, "read", None), getattr(stream, "write", None)
        if read is not None and write is not None:
            vars(stream)["read"] = functools.partial(self._read, read)
            vars(stream)["write"] = functools.partial(self._write, write)

    def _read(self, read: Read, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._in_time(functools.partial(read, max_bytes), timeout)
        if self._head_left is not None:
            self._head_left -= len(data)
            if self._head_left < 0:
                raise self._flood()
        return data

    def _write(
        self, write: Callable[..., None], buffer: bytes, timeout: float | None = None
    ) -> None:
        for start in range(0, len(buffer), _BLOCK):
            block = buffer[start : start + _BLOCK]
            self._in_time(functools.partial(write, block), timeout)

    def _in_time(self, act: Callable[..., Done], timeout: float | None) -> Done:
        """Act within the deadline and `timeout` seconds."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise self._late()
        within = left if timeout is None else min(left, timeout)
        try:
            return act(timeout=None if within == float("inf") else within)
        except Exception as error:
            if time.monotonic() >= self.until:
                raise self._late() from error
            raise


def socket_of(step: str, info: dict[str, object]) -> socket.socket | None:
    """The socket that a step of the trace has connected; None for all other steps."""
    if not step.endswith(_STREAM_STEPS):
        return None
    get = getattr(info.get("return_value"), "get_extra_info", None)
    found = get("socket") if get else None
    return found if isinstance(found, socket.socket) else None
