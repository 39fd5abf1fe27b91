"""POST /v1/chat/completions: one request from its body to its last byte, or to its fault."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Empty
from typing import Any

from fake_sglang import faults, prompt, wire
from fake_sglang.client import Client
from fake_sglang.engine import Engine
from fake_sglang.faults import FaultPlan, flat_error, json_answer
from fake_sglang.journal import Journal
from fake_sglang.options import Options
from fake_sglang.requests import Finished, Item, Request, Started, Token
from fake_sglang.serverlog import ServerLog

EVENT_STREAM = "text/event-stream; charset=utf-8"
LOOK_SECONDS = 0.02  # how often a silent server looks whether its client is still there


@dataclass(frozen=True)
class Site:
    """What all requests of the server share."""

    options: Options
    engine: Engine
    journal: Journal
    faults: FaultPlan
    log: ServerLog


def serve_chat(site: Site, client: Client, raw: bytes) -> None:
    """Answer one chat request."""
    n = site.journal.request(raw)
    fault = site.faults.take()
    try:
        body = prompt.read(raw)
        rid = str(body.get("rid") or uuid.uuid4().hex)
        site.journal.event("request", n=n, rid=rid, stream=bool(body.get("stream")), fault=fault)
        chat = _Chat(site, client, Head(n, rid, str(body.get("model"))), fault)
        if fault in faults.WHOLE:
            chat.answer(faults.WHOLE[fault])
        else:
            chat.run(body)
    except prompt.Refused as refused:  # before a rid could be read
        site.journal.event("request", n=n, rid=None, stream=False, fault=fault)
        client.answer(refused.answer)
    except OSError:
        client.cut()  # the client went while it was written to; the engine has been told


@dataclass(frozen=True)
class Head:
    """Which request this is."""

    n: int
    rid: str
    model: str


class _Chat:
    """One valid exchange."""

    def __init__(self, site: Site, client: Client, head: Head, fault: str) -> None:
        self._site = site
        self._client = client
        self._head = head
        self._fault = fault
        self._stream = wire.Stream(site.options.is_kt, head.rid, head.model)
        self._has_headers = False
        self._is_streamed = False
        self._wants_usage = False

    def answer(self, answer: faults.Answer) -> None:
        """A whole answer, and its events."""
        self._event("headers_sent", status=answer.status)
        self._event("answered")
        self._client.answer(answer)

    def run(self, body: dict[str, Any]) -> None:
        """Check it, queue it, and relay what the engine says."""
        try:
            asked = prompt.check(body, self._site.options)
        except prompt.Refused as refused:
            self._refuse(refused, prompt.Prompt(body, "", 0, None))
            return
        self._wants_usage, self._is_streamed = asked.wants_usage, asked.is_streamed
        text = prompt.words(prompt.answer(body, self._site.options))
        head = self._head
        request = Request(head.n, head.rid, asked.tokens, asked.max_tokens, text, asked.text)
        self._site.engine.submit(request)
        try:
            if asked.is_streamed:
                self._relay(request)
            else:
                self._collect(request)
        except OSError:
            self._left(request)
            raise

    def _refuse(self, refused: prompt.Refused, asked: prompt.Prompt) -> None:
        """The recorded ways to say no; upstream's early refusals are plain 400s also streamed."""
        is_kt = self._site.options.is_kt
        self._wants_usage = asked.wants_usage
        if not asked.is_streamed or not (is_kt or refused.is_late):
            self.answer(refused.answer)
            return
        self._headers()
        if not refused.is_late:
            self._end(self._stream.error(refused.body))
        elif is_kt:
            # Not recorded. sglang-kt 0.7.2's serving_chat.py drops the message of a scheduler's
            # refusal, and managers/schedule_batch.py runs a one-token prompt in its place: the
            # stream is that of a request aborted after one word.
            first = self._stream.role() + self._stream.word("!")
            self._end(first + self._stream.finish("abort"), wire.usage(1, 1))
        else:
            # Recorded (overpool_one.jsonl): 200, the error, and usage as if it had been answered.
            error = self._stream.error(refused.body | {"type": "BAD_REQUEST"})
            self._end(error, wire.usage(1, 1))

    def _relay(self, request: Request) -> None:
        """A stream: kt's headers at once, upstream's with the first chunk (recorded)."""
        if self._site.options.is_kt:
            self._headers()
        sent = 0
        for item in self._items(request):
            if self._breaks(item, sent, request):
                return
            self._headers()
            refused = isinstance(item, Finished) and item.message
            if refused and sent == 0 and self._stream.is_kt:
                self._end_without_a_byte()
                return
            if sent == 0 and not refused:
                self._client.write(self._stream.role())
            if isinstance(item, Token):
                self._say(item, sent)
                sent += 1
            elif isinstance(item, Finished):
                self._finish_stream(item)

    def _end_without_a_byte(self) -> None:
        """Seen of sglang-kt 0.7.2 on a CPU, when its queue is full or a request waited too long
        there: a KeyError in _generate_chat_stream. With --enable-metrics the stream ends in good
        order, without it before its last chunk."""
        self._event("answered")
        if self._site.options.metrics:
            self._client.end_stream()
        else:
            self._client.cut()

    def _finish_stream(self, end: Finished) -> None:
        tokens = wire.usage(end.prompt_tokens, end.completion_tokens, end.cached_tokens)
        if end.message and not self._site.options.is_kt:
            # Recorded of another refusal by the scheduler (overpool_one.jsonl).
            error = flat_error(end.status, end.message, "SERVICE_UNAVAILABLE")
            self._end(self._stream.error(error), tokens)
        else:  # kt: the message is lost
            self._end(self._stream.finish(end.reason), tokens)

    def _say(self, item: Token, sent: int) -> None:
        if sent == 0:
            self._event("first_token")
        if item.text:
            self._client.write(self._stream.word(item.text))

    def _items(self, request: Request) -> Iterator[Item]:
        """What the engine says from the first word on, until the end or until nobody listens."""
        while True:
            try:
                item = request.out.get(timeout=LOOK_SECONDS)
            except Empty:
                if self._client.is_gone():
                    self._left(request)
                    return
                continue
            if isinstance(item, Started):
                if self._fault in faults.IN_PREFILL:
                    self._break_in_prefill(request)
                    return
                continue
            yield item
            if isinstance(item, Finished):
                return

    def _left(self, request: Request) -> None:
        """The client is gone; the engine hears of it --notice-seconds later."""
        self._event("disconnect")
        self._client.cut()
        time.sleep(self._site.options.notice(self._is_streamed))
        self._site.engine.leave(request)

    def _collect(self, request: Request) -> None:
        """The answer in one piece."""
        text = ""
        for item in self._items(request):
            if isinstance(item, Token):
                text += item.text
            elif isinstance(item, Finished) and item.message:
                # http_server.py makes the type of an HTTPException from its status (read).
                error = flat_error(item.status, item.message, str(item.status))
                self.answer(json_answer(item.status, error))
            elif isinstance(item, Finished):
                tokens = wire.usage(item.prompt_tokens, item.completion_tokens, item.cached_tokens)
                self._answer_whole(text, item.reason, tokens)

    def _answer_whole(self, text: str, reason: str, tokens: wire.Json) -> None:
        """Not streamed, a fault shows in its own way."""
        if self._fault in ("error_in_stream", "error_midway"):
            self.answer(json_answer(503, faults.STREAM_ERROR))
            return
        if self._fault == "abort_midway":  # by reading: 200, and only the reason tells
            text, reason = text[: len(text) // 2], "abort"
        if self._fault == "empty_stream":
            text = ""
        head = {"id": self._head.rid, "object": "", "created": int(time.time())}
        head["model"] = self._head.model
        answer = json_answer(200, wire.completion(head, text, reason, tokens))
        if self._fault == "cut_midway":
            self._event("headers_sent", status=200)
            self._client.cut_answer(answer)
            return
        self.answer(answer)

    def _breaks(self, item: Item, sent: int, request: Request) -> bool:
        """Act the fault of a stream, if its moment has come."""
        half = max(1, request.limit // 2)
        is_first = self._fault in faults.AT_FIRST_TOKEN
        is_half = self._fault in faults.MIDWAY and (sent >= half or isinstance(item, Finished))
        if not (is_first or is_half):
            return False
        self._event("fault", name=self._fault)
        self._site.engine.leave(request)
        self._headers()
        tokens = wire.usage(request.prompt_tokens, sent)
        if self._fault == "cut_midway":
            self._client.cut()
        elif self._fault == "empty_stream":
            self._end("")
        elif self._fault == "abort_midway":
            self._end(self._stream.finish("abort"), tokens)
        else:
            # kt: [DONE] follows (errors.jsonl); upstream: usage first (overpool_one.jsonl).
            error = self._stream.error(faults.STREAM_ERROR)
            self._end(error, None if self._site.options.is_kt else tokens)
        return True

    def _break_in_prefill(self, request: Request) -> None:
        time.sleep(self._site.options.prefill_seconds / 2)
        self._event("fault", name=self._fault)
        if self._fault == "die_in_prefill":
            os._exit(1)
        self._client.reset()
        self._site.engine.leave(request)

    def _headers(self) -> None:
        if not self._has_headers:
            self._has_headers = True
            self._event("headers_sent", status=200)
            self._client.start_stream(EVENT_STREAM)

    def _end(self, last: str, tokens: wire.Json | None = None) -> None:
        """The last lines of a stream."""
        if last:
            self._client.write(last)
        if tokens is not None and self._wants_usage:
            self._client.write(self._stream.usage(tokens))
        self._event("answered")  # before the last byte: a client that has it can rely on it
        self._client.write(self._stream.done())
        self._client.end_stream()

    def _event(self, kind: str, **details: Any) -> None:
        self._site.journal.event(kind, n=self._head.n, rid=self._head.rid, **details)
