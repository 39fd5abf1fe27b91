"""The body of a long request's response, on its way to the event parser: decompressed, bounded, and
with the errors of old servers made readable."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import httpx2

from ktclient.errors import StreamTooLarge
from ktclient.request import bounds
from ktclient.request.bounds import StreamBounds, Wire

EVENT_STREAM = "text/event-stream"


def bound(response: httpx2.Response, wire: Wire, limits: StreamBounds) -> None:
    """Make the body of an answer raise `StreamTooLarge` beyond its limits, and the body of any
    other response end after its beginning, or after `bounds.ERROR_SECONDS`."""
    if response.is_closed:
        return
    assert isinstance(response.stream, httpx2.SyncByteStream)
    source, pieces = response.stream, _decompressed(response)
    kind = response.headers.get("content-type", "")
    if response.status_code == 200 and kind.lower().startswith(EVENT_STREAM):
        lines = ErrorLines(pieces)
        response.stream = Pieces(_within(lines, limits), source, lines)
        return
    # Without its charset: Python has codecs that decode no text, or take very long.
    response.headers["content-type"] = kind.partition(";")[0]
    wire.until = time.monotonic() + bounds.ERROR_SECONDS
    response.stream = Pieces(bounds.beginning(pieces, wire.until), source)


def _decompressed(response: httpx2.Response) -> Iterator[bytes]:
    """The body's pieces, decompressed one megabyte at a time."""
    inner = httpx2.Response(
        response.status_code,
        headers=response.headers,
        stream=response.stream,
        request=response.request,
    )
    response.headers.pop("content-encoding", None)
    return inner.iter_bytes()


def _within(pieces: Iterable[bytes], limits: StreamBounds) -> Iterator[bytes]:
    for piece in pieces:
        try:
            limits.take(piece)
        except StreamTooLarge:
            yield piece[: limits.good]
            raise
        yield piece


class Pieces(httpx2.SyncByteStream):
    """A body that is made of another one, `source`, which is closed with it; `lines` is the event
    stream, if it is one."""

    def __init__(
        self,
        pieces: Iterator[bytes],
        source: httpx2.SyncByteStream,
        lines: ErrorLines | None = None,
    ) -> None:
        self._pieces, self._source, self.lines = pieces, source, lines

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._source.close()


class ErrorLines:
    """An event stream with `error: {…}` lines replaced by `data: {…}` lines. llama.cpp reported
    errors so until 2025 (utils.hpp, server_sent_event); event parsers skip a field of that name,
    and then the answer looks like one that was cut."""

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream
        self._tail = b"\n"

    @property
    def has_end_mark(self) -> bool:
        """Whether `data: [DONE]` has arrived: the server itself ended the stream."""
        return any(mark in self._tail for mark in _END_MARKS)

    def __iter__(self) -> Iterator[bytes]:
        last, held = b"\n", b""
        for piece in self._stream:
            self._tail = (self._tail + piece)[-_TAIL_BYTES:]
            text = (last + held + piece).replace(_ERROR_LINE, _DATA_LINE)
            # Hold back bytes that may begin an error line; its "\n" has been passed on.
            starts = (size for size in range(len(_ERROR_LINE) - 1, 1, -1))
            held_size = next((n for n in starts if text.endswith(_ERROR_LINE[:n])), 1) - 1
            end = len(text) - held_size
            ready, held = text[1:end], text[end:]
            if ready:
                last = ready[-1:]
                yield ready
        yield held


_ERROR_LINE, _DATA_LINE = b"\nerror: ", b"\ndata: "
_END_MARKS = (b"\ndata: [DONE]", b"\ndata:[DONE]", b"\rdata: [DONE]")
_TAIL_BYTES = 64


def has_end_mark(response: httpx2.Response) -> bool:
    """Whether a server has ended its event stream itself; False also if that is not known."""
    lines = response.stream.lines if isinstance(response.stream, Pieces) else None
    return lines is not None and lines.has_end_mark
