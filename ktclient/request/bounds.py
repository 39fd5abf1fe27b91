"""How much a server may answer. Each bound lies far above what a healthy server sends, and below
what would fill the memory or the disk of this machine.

A server, a proxy, or whatever else listens at an address may answer anything: without end, without
line ends, compressed a thousandfold, or one byte a second.
"""

from __future__ import annotations

import functools
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import httpx2

from jobs.errors import KtjobError
from ktclient.errors import AnswerTooLong, ReplyTooLarge, ReplyTooSlow, StreamTooLarge
from ktclient.request.events import Text
from ktclient.wording import spoken

REPLY_BYTES = 4 << 20
"""A reply to a short query, decompressed. The largest seen: /v1/models of a public hub, 0.7 MB."""
REPLY_PER_SENT = 3
"""More bytes of reply for each byte of the query: /tokenize returns a number (7 bytes) for each
token (3 to 5 bytes); /apply-template returns the text."""
REPLY_BRACKETS = 200_000
"""Objects and lists of a reply: an empty one takes 2 bytes there and 60 to 230 in memory."""
_BRACKETS_PER_SENT = 1 / 8
REPLY_MORE_SECONDS = 60.0
"""How long the rest of a reply may take after the time in which its first byte must arrive; but no
longer than twice that time."""
HEAD_BYTES = 256 << 10
"""All headers of a response, including informational ones (1xx). httpcore limits each to 100 KiB,
but not their number."""

ERROR_BYTES = 64 << 10
"""Of the body of an error response, so many bytes are read: the message is at its beginning."""
ERROR_SECONDS = 30.0
"""How long an error response may take after its status, which already is an answer."""

EVENT_BYTES = 4 << 20
"""One event of a stream, which must be held in memory. Some gateways send a whole answer in one:
128K tokens of Chinese, escaped, are 1.2 MB."""
EVENT_BRACKETS = 50_000
"""Objects and lists of one event: openai makes an object of a kilobyte from each choice."""
STREAM_BYTES = 64 << 20
STREAM_BYTES_A_TOKEN = 4096
"""All of a stream: usually 200 to 400 bytes for each token, more with the server's own fields."""
STREAM_LINES = 100_000
STREAM_LINES_A_TOKEN = 8
STREAM_LINES_A_SECOND = 100
"""Lines of a stream, empty ones and comments included: two or three for each token; keepalive
comments come once in a few seconds."""

ANSWER_BYTES = 1 << 20
"""Text beyond max_tokens that is still accepted: some servers do not count reasoning."""
ANSWER_BYTES_A_TOKEN = 256
"""The longest tokens of the vocabularies that we know have 128 bytes (runs of blanks); the average
is 4."""
ANSWER_MOST_BYTES = 12 << 20
"""Whatever max_tokens says. A million tokens are about 5 MB."""
CHANNEL_BYTES = 64
"""Counted for each change between answer, reasoning and tool calls, which begins a row of the
store."""

_CURE = "Check what listens there; the server's log may say more."


class TooLarge(httpx2.ReadError):
    """Raised below httpx2, which passes it on like its own errors; `told` says it in words."""

    def __init__(self, told: KtjobError) -> None:
        super().__init__(str(told))
        self.told = told


class TooSlow(httpx2.ReadTimeout):
    """The same, for a reply that takes too long."""

    def __init__(self, told: KtjobError) -> None:
        super().__init__(str(told))
        self.told = told


def reply_too_large(url: str, what: str) -> TooLarge:
    return TooLarge(
        ReplyTooLarge(
            f"{url} replied with {what}: no LLM server does. Check what listens there, and the URL "
            "in --server."
        )
    )


def reply_too_slow(url: str) -> TooSlow:
    return TooSlow(
        ReplyTooSlow(
            f"{url} sends its reply so slowly that it was not complete in time: the network is too "
            "slow, or something else than an LLM server listens there. Check both."
        )
    )


def head_too_large(url: str) -> TooLarge:
    return TooLarge(
        StreamTooLarge(f"{url} sent more than {HEAD_BYTES:,} bytes of headers. {_CURE}")
    )


def reply_seconds(patience: float) -> float:
    """Total time for a reply whose first byte must arrive within `patience` seconds."""
    return patience + min(2 * patience, REPLY_MORE_SECONDS)


def read_reply(url: str, pieces: Iterable[bytes], sent: int) -> bytes:
    """The reply to a query of `sent` bytes, from its decompressed pieces. Raises `TooLarge`."""
    most, body = REPLY_BYTES + REPLY_PER_SENT * sent, bytearray()
    for piece in pieces:
        body += piece
        if len(body) > most:
            raise reply_too_large(url, f"more than {most:,} bytes (decompressed) to a short query")
    if body.count(b"[") + body.count(b"{") > REPLY_BRACKETS + int(sent * _BRACKETS_PER_SENT):
        raise reply_too_large(url, f"more than {REPLY_BRACKETS:,} objects and lists")
    return bytes(body)


def beginning(pieces: Iterable[bytes], until: float) -> Iterator[bytes]:
    """The first `ERROR_BYTES` of an error's body, as far as they arrive before `until` (monotonic
    seconds). What breaks or lasts longer ends there: its status already is the answer."""
    left = ERROR_BYTES
    try:
        for piece in pieces:
            yield piece[:left]
            left -= len(piece)
            if left <= 0 or time.monotonic() > until:
                return
    except httpx2.RequestError:
        return


_LINE_END = re.compile(rb"\r\n|\r|\n")


class StreamBounds:
    """Follows the decompressed bytes of one stream of at most `max_tokens` tokens; keeps none."""

    def __init__(
        self, url: str, max_tokens: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.url, self._clock, self._began = url, clock, clock()
        self._most_bytes = STREAM_BYTES + STREAM_BYTES_A_TOKEN * max_tokens
        self._most_lines = STREAM_LINES + STREAM_LINES_A_TOKEN * max_tokens
        self._max_tokens = max_tokens
        self._bytes = self._lines = self._event = self._line = self._brackets = 0
        self._after_return = False
        self.good = 0
        """How many bytes of the last piece may be passed on, if it was refused."""

    def take(self, piece: bytes) -> None:
        """Raises `StreamTooLarge`."""
        self._bytes += len(piece)
        self.good = 0
        # A line end may be cut in half.
        start = 1 if self._after_return and piece.startswith(b"\n") else 0
        self._after_return = piece.endswith(b"\r")
        for end in _LINE_END.finditer(piece, start):
            self._grow(piece, start, end.start())
            if not self._line:  # an empty line ends the event
                self._event = self._brackets = 0
            self._line = 0
            self._lines += 1
            self.good = start = end.end()
        self._grow(piece, start, len(piece))
        self.good = len(piece)
        self._check_all()

    def frame_ended(self) -> None:
        """An event has ended without an empty line."""
        self._event = self._brackets = 0

    def check_text(self, text: bytes | bytearray) -> None:
        """Raises `StreamTooLarge` for a JSON text on many lines that is larger than an event."""
        self._check_event(len(text), text.count(b"{") + text.count(b"["))

    def _grow(self, piece: bytes, start: int, end: int) -> None:
        self._line += end - start
        self._event += end - start
        self._brackets += piece.count(b"{", start, end) + piece.count(b"[", start, end)
        self._check_event(self._event, self._brackets)

    def _check_event(self, size: int, brackets: int) -> None:
        if size > EVENT_BYTES:
            raise StreamTooLarge(
                f"{self.url} sent more than {EVENT_BYTES:,} bytes without the end of an event. "
                f"{_CURE}"
            )
        if brackets > EVENT_BRACKETS:
            raise StreamTooLarge(
                f"{self.url} sent more than {EVENT_BRACKETS:,} objects and lists in one event. "
                f"{_CURE}"
            )

    def _check_all(self) -> None:
        if self._bytes > self._most_bytes:
            raise StreamTooLarge(
                f"{self.url} sent more than {self._most_bytes:,} bytes for an answer of at most "
                f"{self._max_tokens:,} tokens. {_CURE}"
            )
        seconds = self._clock() - self._began
        if self._lines > self._most_lines + STREAM_LINES_A_SECOND * seconds:
            raise StreamTooLarge(
                f"{self.url} sent {self._lines:,} lines, empty ones and comments included, within "
                f"{spoken(seconds)} for an answer of at most {self._max_tokens:,} tokens. {_CURE}"
            )


class AnswerBounds:
    """Counts the text of one answer, reasoning and tool calls included."""

    def __init__(self, url: str, max_tokens: int) -> None:
        self._url, self._max_tokens, self._bytes, self._channel = url, max_tokens, 0, ""
        self._most = min(ANSWER_BYTES + ANSWER_BYTES_A_TOKEN * max_tokens, ANSWER_MOST_BYTES)

    def take(self, text: Text) -> None:
        """Raises `AnswerTooLong`."""
        if text.channel != self._channel:
            self._channel = text.channel
            self._bytes += CHANNEL_BYTES
        self._bytes += len(text.text.encode("utf-8", "replace"))
        if self._bytes > self._most:
            raise AnswerTooLong(
                f"{self._url} sent more than {self._most:,} bytes of text for an answer of at most "
                f"{self._max_tokens:,} tokens: it ignores max_tokens. The text so far is kept. "
                "Check the server's version and log."
            )


_STREAM_STEPS = (".connect_tcp.complete", ".start_tls.complete")
_BLOCK = 1 << 16
Late = Callable[[], Exception]
Read = Callable[..., bytes]
Done = TypeVar("Done")


class Wire:
    """A deadline for all that arrives on the connection of one request, and a bound for headers.

    httpx2's timeouts are per read, so one byte a second never ends, and headers without end are
    read for ever. httpcore's `trace` extension hands out its network stream when the connection is
    made; its `read` and `write` are replaced there, for the reasons given in `connection.py`.
    `late` makes the error for a passed deadline, `flood` the one for too many bytes of headers.
    """

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
            self._head_left = HEAD_BYTES
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
