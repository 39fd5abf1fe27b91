"""The body of a long request's response, on its way to openai's library: decompressed, bounded, and
read as an answer, however that is packed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import httpx2

from ktclient.errors import ProtocolError, StreamTooLarge, WebPage
from ktclient.request import bounds
from ktclient.request.bounds import StreamBounds, Wire
from ktclient.request.incoming.frames import Frames
from ktclient.request.incoming.received import Received
from ktclient.wording import quote

EVENT_STREAM = "text/event-stream"
_BLOCK = 1 << 16
"""Bytes that are measured and read at a time."""


def bound(
    response: httpx2.Response, wire: Wire, limits: StreamBounds, received: Received | None = None
) -> None:
    """Make the body of any response end after its beginning, or after `bounds.ERROR_SECONDS`. With
    `received`, which follows what arrives, the body of a response with a status of success is read
    as an answer, and raises `StreamTooLarge` beyond its limits."""
    if response.is_closed:
        return
    assert isinstance(response.stream, httpx2.SyncByteStream)
    source, pieces = response.stream, _blocks(_decompressed(response), received or Received())
    kind = response.headers.get("content-type", "")
    if response.is_success and received is not None:
        frames = Frames(limits.url, limits.frame_ended, limits.check_text)
        within = _page_ends(_within(pieces, limits), frames, wire)
        response.headers["content-type"] = EVENT_STREAM
        response.stream = Pieces(frames.events(within), source, Answer(frames, kind))
        return
    # Without its charset: Python has codecs that decode no text, or take very long.
    response.headers["content-type"] = kind.partition(";")[0]
    wire.until = time.monotonic() + bounds.ERROR_SECONDS
    response.stream = Pieces(bounds.beginning(pieces, wire.until), source)


def _blocks(pieces: Iterable[bytes], received: Received) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), _BLOCK):
            block = piece[start : start + _BLOCK]
            received.take(block)
            yield block


def _page_ends(pieces: Iterable[bytes], frames: Frames, wire: Wire) -> Iterator[bytes]:
    """The pieces; of a web page only the beginning, as of an error."""
    left = bounds.ERROR_BYTES
    for piece in pieces:
        yield piece
        if frames.is_page:
            wire.until = min(wire.until, time.monotonic() + bounds.ERROR_SECONDS)
            left -= len(piece)
            if left <= 0:
                return


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


class Answer:
    """How an answer is packed: the frames of its body, and the content type that the server gave
    it."""

    def __init__(self, frames: Frames, kind: str) -> None:
        self.frames, self._kind = frames, kind

    def check(self, url: str) -> None:
        """Raises an error in the server's own words, if there was nothing of an answer in the
        body and it was no event stream."""
        frames, kind = self.frames, quote(self._kind) or "no content type"
        if frames.is_page or self._kind.lower().startswith("text/html"):
            raise WebPage(
                f"{url} answered with a web page ({kind}: {frames.words}): a login page or a proxy "
                "is in between. Log in there, or connect to the server directly."
            )
        is_stream = self._kind.lower().startswith(EVENT_STREAM) or frames.has_frames
        if frames.is_cut or (is_stream and not frames.words):
            return
        said = f': "{frames.words}"' if frames.words else ", and no words either"
        raise ProtocolError(
            f"{url} sent no answer{said} (as {kind}). Check that it is an OpenAI-compatible server "
            "that supports streaming, and see its log."
        )


class Pieces(httpx2.SyncByteStream):
    """A body that is made of another one, `source`, which is closed with it; `answer` says how the
    answer is packed, if it is one."""

    def __init__(
        self,
        pieces: Iterator[bytes],
        source: httpx2.SyncByteStream,
        answer: Answer | None = None,
    ) -> None:
        self._pieces, self._source, self.answer = pieces, source, answer

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._source.close()


def answer_in(response: httpx2.Response) -> Answer | None:
    """The answer in a response that was bounded; None if it is none."""
    return response.stream.answer if isinstance(response.stream, Pieces) else None
