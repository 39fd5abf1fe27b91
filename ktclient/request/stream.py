"""One long request: streamed, with keepalive, never silently retried.

The blocking read runs in a thread; the caller gets events and, in between, ticks, so that one
thread can write, check for a cancel and enforce the deadline. Closing the iterator closes the
connection: the server then drops the request.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

from jobs import durations
from jobs.errors import KtjobError
from ktclient import late_packages
from ktclient.errors import NEVER_ACCEPTED, DeadlineExceeded, ProtocolError, ServerHung
from ktclient.request import connection, error_mapping, response_body
from ktclient.request.events import Came as Came
from ktclient.request.events import Completed as Completed
from ktclient.request.events import Prefilled as Prefilled
from ktclient.request.events import Quiet as Quiet
from ktclient.request.events import Sent as Sent
from ktclient.request.events import Text as Text
from ktclient.request.incoming.received import Received
from ktclient.request.liveness import AnswersAgain, LeftInPeace, LivenessProbe, NotAnswering
from ktclient.request.reader import StreamReader
from ktclient.wording import spoken

with late_packages.late({"openai.types", "openai.types.responses"}):  # of its other APIs
    import openai
    from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

SCHEMA, STREAM_OPTIONS, MAX_TOKENS = "response_format", "stream_options", "max_tokens"
NEW_LIMIT = "max_completion_tokens"
"""Fields of a request without which a server may take it that refuses to know them. Instead of
`max_tokens`, its newer name is sent."""
TICK_SECONDS = 0.2
_HANG_UP_SECONDS = 1.0
"""How long closing waits for the reading thread: one that is still connecting cannot be woken, and
ends by itself."""
_MOST_EVENTS = 10_000
"""How many events may wait for the main thread, which writes them to a disk: a server that sends
faster is slowed down by TCP."""
AFTER_END_SECONDS = 60.0
"""How long to wait for token counts and the end of the stream after the server has sent a finish
reason: a server that does not close must not delay a whole answer until its deadline."""


@dataclass(frozen=True)
class LongRequest:
    """One request. `url` is the server's root; `rid` names this attempt to the server."""

    url: str
    model: str
    message: str = field(repr=False)
    max_tokens: int
    rid: str
    extras: dict[str, object] = field(default_factory=dict)
    api_key: str | None = field(default=None, repr=False)
    system: str | None = field(default=None, repr=False)
    messages: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """Complete messages, instead of `system` and `message`."""
    without: frozenset[str] = frozenset()
    """Names of fields that this server has refused, and that are left out."""

    @property
    def fields(self) -> dict[str, object]:
        """All fields but the model and the messages."""
        limit = NEW_LIMIT if MAX_TOKENS in self.without else MAX_TOKENS
        usual = {limit: self.max_tokens, STREAM_OPTIONS: {"include_usage": True}}
        return {
            name: value
            for name, value in {**usual, **self.extras}.items()
            if name not in self.without
        }


StreamEvent = (
    Sent | Prefilled | Text | Completed | Quiet | NotAnswering | LeftInPeace | AnswersAgain | Came
)


def stream(
    request: LongRequest,
    deadline_seconds: float,
    probe: LivenessProbe | None = None,
    is_progressing: Callable[[], bool] = lambda: False,
) -> Generator[StreamEvent, None, None]:
    """Send the request and yield its events, ending with `Completed`, or with `Came` and an error.

    Raises a leaf of `ktclient.errors` if no whole answer came: `DeadlineExceeded` after
    `deadline_seconds` in total, extended while `is_progressing()` is true; `ServerHung` if the
    probe finds that the server no longer answers. There is no other timer: half an hour of silence
    is normal.
    """
    exchange, url = _Exchange(request), request.url
    del request  # megabytes, and no longer needed once they are sent
    give_up = time.monotonic() + deadline_seconds
    exchange.start()
    try:
        while not isinstance(event := exchange.next_event(TICK_SECONDS), Completed):
            if isinstance(event, BaseException):
                failure = exchange.explain(event)
                if not isinstance(failure, NEVER_ACCEPTED):
                    yield from exchange.came()
                raise failure from event
            yield event
            if time.monotonic() > give_up and not is_progressing():
                yield from exchange.came()
                raise DeadlineExceeded(
                    f"no complete answer within {durations.exact(deadline_seconds)} s; the "
                    "request was dropped. Allow more time with --timeout."
                )
            if probe is not None:
                yield from _check_liveness(probe, event, url)
        yield event
    finally:
        if probe is not None:
            probe.stop()
        exchange.hang_up()


def _messages(request: LongRequest) -> list[ChatCompletionMessageParam]:
    if request.messages:
        # Any fields are allowed: they were written for a server, which will validate them.
        return [cast(ChatCompletionMessageParam, message) for message in request.messages]
    system, message = request.system, request.message
    first: list[ChatCompletionMessageParam] = (
        [] if system is None else [{"role": "system", "content": system}]
    )
    return [*first, {"role": "user", "content": message}]


def _check_liveness(probe: LivenessProbe, event: StreamEvent, url: str) -> Iterator[StreamEvent]:
    """The liveness events after an event. The checks start when the whole request is sent."""
    if isinstance(event, Sent):
        probe.start()
    elif not isinstance(event, Quiet):
        probe.heard()
    sign = probe.look()
    if isinstance(sign, NotAnswering) and sign.is_hung:
        raise ServerHung(
            f"the server at {url} has not answered for {spoken(sign.seconds)}: it hangs, or it "
            "died behind a tunnel that is still open. See its log and restart it; the connection "
            "was closed."
        )
    if sign is not None:
        yield sign


class _Api(openai.OpenAI):
    """Takes no header from the environment: openai puts those of OPENAI_CUSTOM_HEADERS,
    OPENAI_ORG_ID and OPENAI_PROJECT_ID into each request before any hook sees it, where one that is
    not ASCII ends it."""

    @property
    def default_headers(self) -> dict[str, str | openai.Omit]:
        kind = "application/json"
        return {"Accept": kind, "Content-Type": kind, "User-Agent": self.user_agent}


def make_api(url: str, client: connection.Client, api_key: str | None) -> openai.OpenAI:
    """openai's client for a server, with this key or none, and nothing of the environment's."""
    connection.send_only_own_headers(client, api_key)
    return _Api(
        base_url=f"{url}/v1",
        api_key=api_key or "none",
        http_client=client,
        timeout=client.timeout,
        max_retries=0,  # each silent retry would be a second prefill
    )


class _Exchange:
    """The thread that sends and reads, and the queue for its events."""

    def __init__(self, request: LongRequest) -> None:
        self._messages = _messages(request)
        self._request = replace(request, message="", messages=())
        self._events: queue.Queue[StreamEvent | BaseException] = queue.Queue(_MOST_EVENTS)
        self._socket: socket.socket | None = None
        self._hung_up = False
        self._thread = threading.Thread(target=self._talk, name="request", daemon=True)
        self._sent_at: float | None = None
        self._heard_at = time.monotonic()
        self._received = Received()
        self._reader = StreamReader(request.url, request.max_tokens, self._put)

    def start(self) -> None:
        self._thread.start()

    def next_event(self, seconds: float) -> StreamEvent | BaseException:
        try:
            event = self._events.get(timeout=seconds)
        except queue.Empty:
            return self._left_open() or Quiet()
        self._heard_at = time.monotonic()
        return event

    def _left_open(self) -> Completed | BaseException | None:
        """The end of an answer whose server neither sends more nor closes; None while it may send
        more."""
        is_late = time.monotonic() - self._heard_at > AFTER_END_SECONDS
        if not (is_late and self._reader.has_ended):
            return None
        try:
            return self._reader.end()
        except KtjobError as error:
            return error

    def explain(self, error: BaseException) -> BaseException:
        """The error that ended it, as a leaf of the error tree."""
        sent_at, now = self._sent_at, time.monotonic()
        return error_mapping.explain(
            error,
            self._request.url,
            sent=sent_at is not None,
            begun=self._reader.has_begun,
            seconds=now - sent_at if sent_at is not None else 0.0,
        )

    def came(self) -> Iterator[Came]:
        """The last bytes that came, if there were any."""
        if self._received.bytes:
            yield Came(self._received.bytes, self._received.text)

    def hang_up(self) -> None:
        """Close the connection from outside the reading thread."""
        self._hung_up = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # already closed, or its other end is
                self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(_HANG_UP_SECONDS)

    def _watch(self, step: str, sock: socket.socket | None) -> None:
        if sock is not None:
            self._socket = sock
            if self._hung_up:
                sock.shutdown(socket.SHUT_RDWR)
        if step.endswith(".send_request_body.complete"):
            self._sent_at = time.monotonic()
            self._put(Sent())

    def _talk(self) -> None:
        try:
            request = self._request
            with connection.long_client(
                request.url, self._watch, request.max_tokens, self._received
            ) as client:
                self._put(self._read(client))
        except BaseException as error:
            self._put(error)

    def _put(self, event: StreamEvent | BaseException) -> None:
        """Hand an event over; wait while many wait already, until somebody hangs up."""
        while not self._hung_up:
            with contextlib.suppress(queue.Full):
                self._events.put(event, timeout=TICK_SECONDS)
                return

    def _read(self, client: connection.Client) -> Completed:
        request = self._request
        key = connection.usable_key(request.api_key) if request.api_key else None
        api = make_api(request.url, client, key)
        with api.chat.completions.create(
            model=request.model,
            messages=self._take_messages(),
            stream=True,
            extra_body=request.fields,
        ) as chunks:
            # The answered request holds the document in bytes: free it for the long wait.
            chunks.response.request = connection.bare_request(request.url)
            return self._follow(chunks)

    def _take_messages(self) -> list[ChatCompletionMessageParam]:
        messages, self._messages = self._messages, []
        return messages

    def _follow(self, chunks: openai.Stream[ChatCompletionChunk]) -> Completed:
        try:
            for chunk in chunks:
                self._reader.take(chunk)
        except openai.APIConnectionError:
            if not self._reader.has_ended:
                raise
        except (openai.APIError, ProtocolError):
            if not self._reader.is_whole:
                raise
        answer = response_body.answer_in(chunks.response)
        assert answer is not None  # its status was one of success
        if not (self._reader.has_said or self._reader.has_ended):
            answer.check(self._request.url)
        frames = answer.frames
        return self._reader.end(is_marked=frames.has_end_mark, words=frames.words)
