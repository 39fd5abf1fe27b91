"""One long request: streamed, kept alive, never silently retried.

The blocking read runs in a thread; the caller gets events and, in between, ticks, so that one
thread of control can write, watch for a cancel and keep the deadline. Closing the iterator hangs
up: the server then drops the request.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import openai
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from ktclient import error_bodies, failures, http
from ktclient.errors import (
    AbortedByServer,
    DeadlineExceeded,
    EmptyAnswer,
    EmptyStream,
    ProtocolError,
    ServerHung,
    StreamCut,
    WebPage,
)
from ktclient.pulse import AnswersAgain, NotAnswering, Pulse
from ktclient.quoting import quote, spoken

TICK_SECONDS = 0.2
_HANG_UP_SECONDS = 1.0
"""How long hanging up waits for the thread that reads: one that still connects cannot be woken,
and ends by itself."""
_ERROR_BODY_BYTES = 65_536


@dataclass(frozen=True)
class LongRequest:
    """What to ask whom. `url` is the server's root; `rid` names this attempt to the server."""

    url: str
    model: str
    message: str = field(repr=False)
    max_tokens: int
    rid: str
    extras: dict[str, object] = field(default_factory=dict)
    api_key: str | None = field(default=None, repr=False)
    system: str | None = field(default=None, repr=False)
    messages: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """Whole messages, in place of `system` and `message`."""


@dataclass(frozen=True)
class Sent:
    """The whole request has gone out; `size` in bytes is not known to the caller's side."""


@dataclass(frozen=True)
class Prefilled:
    """The server says how much of the prompt it has read, in tokens."""

    done: int
    total: int


@dataclass(frozen=True)
class Text:
    """Output as it arrived; `channel` is "answer", "reasoning" or "tool_calls": a JSON list of
    pieces of calls, a line each."""

    text: str
    channel: str = "answer"


@dataclass(frozen=True)
class Completed:
    """The server finished. Token counts are the server's own; None where it tells none."""

    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None


@dataclass(frozen=True)
class Quiet:
    """Nothing arrived for a tick."""


StreamEvent = Sent | Prefilled | Text | Completed | Quiet | NotAnswering | AnswersAgain


def stream(
    request: LongRequest, deadline_seconds: float, pulse: Pulse | None = None
) -> Generator[StreamEvent, None, None]:
    """Send the request and yield what happens, ending with `Completed`.

    Raises a leaf of `ktclient.errors` when no whole answer came, `DeadlineExceeded` after
    `deadline_seconds` in all, `ServerHung` when `pulse` finds that the server answers nobody any
    more. There is no other timer: half an hour of silence is normal.
    """
    exchange, url = _Exchange(request), request.url
    del request  # megabytes, and no longer needed once they are sent
    give_up = time.monotonic() + deadline_seconds
    exchange.start()
    try:
        while not isinstance(event := exchange.next_event(TICK_SECONDS), Completed):
            if isinstance(event, BaseException):
                raise exchange.explain(event) from event
            yield event
            if time.monotonic() > give_up:
                raise DeadlineExceeded(
                    f"no whole answer within {deadline_seconds:,.0f} s; the request was "
                    "dropped. Give it more time with --timeout."
                )
            if pulse is not None:
                yield from _felt(pulse, event, url)
        yield event
    finally:
        if pulse is not None:
            pulse.stop()
        exchange.hang_up()


def _messages(request: LongRequest) -> list[ChatCompletionMessageParam]:
    if request.messages:
        # Whatever fields they have: they were written for a server, and it will judge them.
        return [cast(ChatCompletionMessageParam, message) for message in request.messages]
    system, message = request.system, request.message
    first: list[ChatCompletionMessageParam] = (
        [] if system is None else [{"role": "system", "content": system}]
    )
    return [*first, {"role": "user", "content": message}]


def _felt(pulse: Pulse, event: StreamEvent, url: str) -> Iterator[StreamEvent]:
    """What the pulse says after an event. It starts when the server has the whole request."""
    if isinstance(event, Sent):
        pulse.start()
    elif not isinstance(event, Quiet):
        pulse.heard()
    sign = pulse.look()
    if isinstance(sign, NotAnswering) and sign.is_hung:
        raise ServerHung(
            f"the server at {url} has answered nobody for {spoken(sign.seconds)}: it hangs, or is "
            "gone behind a tunnel that still stands. Look at its log and restart it; the "
            "connection was closed."
        )
    if sign is not None:
        yield sign


class _Exchange:
    """The thread that talks, and the queue on which it reports."""

    def __init__(self, request: LongRequest) -> None:
        self._messages = _messages(request)
        self._request = replace(request, message="", messages=())
        self._events: queue.SimpleQueue[StreamEvent | BaseException] = queue.SimpleQueue()
        self._socket: socket.socket | None = None
        self._hung_up = False
        self._thread = threading.Thread(target=self._talk, name="request", daemon=True)
        self._sent_at: float | None = None
        self._begun = False

    def start(self) -> None:
        self._thread.start()

    def next_event(self, seconds: float) -> StreamEvent | BaseException:
        try:
            return self._events.get(timeout=seconds)
        except queue.Empty:
            return Quiet()

    def explain(self, error: BaseException) -> BaseException:
        """What ended it, as a leaf of our tree."""
        sent_at, now = self._sent_at, time.monotonic()
        return failures.explain(
            error,
            self._request.url,
            sent=sent_at is not None,
            begun=self._begun,
            seconds=now - sent_at if sent_at is not None else 0.0,
        )

    def hang_up(self) -> None:
        """End the connection from outside the thread that reads it."""
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
            self._events.put(Sent())

    def _talk(self) -> None:
        try:
            with http.long_client(self._request.url, self._watch) as client:
                self._events.put(self._read(client))
        except BaseException as error:
            self._events.put(error)

    def _read(self, client: http.Client) -> Completed:
        request = self._request
        api = openai.OpenAI(
            base_url=f"{request.url}/v1",
            api_key=http.usable_key(request.api_key or "none"),
            http_client=client,
            timeout=client.timeout,
            max_retries=0,  # each silent retry would be a second prefill
        )
        with api.chat.completions.create(
            model=request.model,
            messages=self._take_messages(),
            max_tokens=request.max_tokens,
            stream=True,
            stream_options={"include_usage": True},
            extra_body=request.extras,
        ) as chunks:
            self._check_kind(chunks.response)
            # The answered request holds the document in bytes: let go of it for the long wait.
            chunks.response.request = http.bare_request(request.url)
            return self._follow(chunks)

    def _check_kind(self, response: http.Response) -> None:
        """Nothing but an event stream is an answer. Some servers tell an error as a plain body
        with status 200 (runpod-workers/worker-vllm #57)."""
        kind, url = response.headers.get("content-type", "nothing"), self._request.url
        if kind.startswith("text/event-stream"):
            return
        start = next(response.iter_text(_ERROR_BODY_BYTES), "")
        with contextlib.suppress(ValueError):
            body = json.loads(start)
            if isinstance(body, dict) and (body.get("error") or body.get("object") == "error"):
                raise failures.in_stream(body, url)
        if kind.startswith("text/html") or error_bodies.is_html(start):
            raise WebPage(
                f"{url} answered with a web page ({kind}: {error_bodies.words(start)}): a login or "
                "a proxy is in between. Log in there, or go to the server directly."
            )
        raise ProtocolError(
            f"{url} answered with {quote(kind)} where a stream was asked for: is it an "
            "OpenAI-compatible server that streams?"
        )

    def _take_messages(self) -> list[ChatCompletionMessageParam]:
        messages, self._messages = self._messages, []
        return messages

    def _follow(self, chunks: openai.Stream[ChatCompletionChunk]) -> Completed:
        reason, said, usage = None, False, None
        for chunk in chunks:
            self._check_error(chunk)
            try:
                usage = chunk.usage or usage
                self._report_prefill(chunk)
                for choice in chunk.choices[:1]:
                    said = self._report_text(choice.delta) or said
                    reason = choice.finish_reason or reason
            except (AttributeError, KeyError, TypeError) as error:
                # openai checks no types: what is not a chunk shows only when it is used.
                raise ProtocolError(
                    f"{self._request.url} streamed something that is not a chat completion: "
                    f"{quote(repr(chunk))}"
                ) from error
        self._check_end(reason, said, usage.prompt_tokens if usage else None)
        cached = usage.prompt_tokens_details if usage else None
        return Completed(
            finish_reason=str(reason),
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
            cached_tokens=cached.cached_tokens if cached else None,
        )

    def _check_error(self, chunk: ChatCompletionChunk) -> None:
        """openai knows errors of streams by their "error"; a flat one has none."""
        if getattr(chunk, "object", None) == "error":
            body = chunk.model_dump(warnings=False)
            raise failures.in_stream(body, self._request.url, begun=self._begun)

    def _report_prefill(self, chunk: ChatCompletionChunk) -> None:
        """llama.cpp's `prompt_progress`; others tell nothing inside the stream."""
        told = (chunk.model_extra or {}).get("prompt_progress")
        if isinstance(told, dict):
            self._begun = True
            self._events.put(Prefilled(int(told["processed"]), int(told["total"])))

    def _report_text(self, delta: object) -> bool:
        said = False
        for name, channel in (("reasoning_content", "reasoning"), ("content", "answer")):
            text = getattr(delta, name, None)
            if text:
                self._events.put(Text(text, channel))
                said = self._begun = True
        if calls := getattr(delta, "tool_calls", None):
            pieces = [call.model_dump(exclude_none=True, warnings=False) for call in calls]
            self._events.put(Text(json.dumps(pieces) + "\n", "tool_calls"))
            said = self._begun = True
        return said

    def _check_end(self, reason: str | None, said: bool, prompt_tokens: int | None) -> None:
        url = self._request.url
        if reason == "abort":
            # sglang-kt drops the message of a refusal in streams, and runs one token in its place.
            why = (
                "most likely because the prompt exceeds its KV pool: see its log"
                if prompt_tokens == 1
                else "by somebody, by a limit of its own, or at its shutdown: see its log"
            )
            error = AbortedByServer(f"the request was aborted on the server at {url}, {why}")
            error.was_read = prompt_tokens != 1
            raise error
        if reason is None and said:
            raise StreamCut(
                f"the answer of {url} broke off: the stream ended without its closing mark. The "
                "server or a proxy in between was stopped; their logs say which."
            )
        if reason is None:
            raise EmptyStream(
                f"{url} ended the stream without saying anything: no text, no error, no reason. "
                "Its log, or that of a proxy in between, says why."
            )
        if not said:
            raise EmptyAnswer(
                f"{url} finished without a word (finish_reason {quote(reason)}): the model had "
                "nothing to say. Ask otherwise, or look whether it only thinks."
            )
