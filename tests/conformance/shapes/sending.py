"""A server on this machine that sends the bytes of one shape."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.served import served

EVENTS = "text/event-stream"
MODELS = '{"object": "list", "data": [{"id": "m", "object": "model", "max_model_len": 100000}]}'
CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Answer:
    """One answer, as bytes. `ends`: see README.md."""

    status: int
    headers: dict[str, str]
    body: bytes
    ends: str
    when: tuple[str, ...]
    unless: tuple[str, ...]

    @classmethod
    def of(cls, table: dict[str, Any]) -> Answer:
        """The answer that a table of a shape describes."""
        kind = table.get("type", EVENTS)
        return cls(
            table.get("status", 200),
            {**({"content-type": kind} if kind else {}), **table.get("headers", {})},
            _body(table),
            table.get("ends", "length"),
            tuple(table.get("when", ())),
            tuple(table.get("unless", ())),
        )

    def is_for(self, request: dict[str, Any]) -> bool:
        """Whether a request gets this answer."""
        has_all = all(name in request for name in self.when)
        return has_all and not (self.unless and all(name in request for name in self.unless))


def _body(table: dict[str, Any]) -> bytes:
    if "frames" in table:
        return "".join(f"{frame}\n\n" for frame in table["frames"]).encode()
    if "hex" in table:
        return bytes.fromhex(table["hex"])
    return str(table.get("body", "")).encode()


@dataclass
class Script:
    """The answers in turn, and the requests that came."""

    answers: list[Answer]
    models: str = MODELS
    asked: list[dict[str, Any]] = field(default_factory=list)

    def next(self, request: dict[str, Any]) -> Answer:
        """The answer to a request: the first that is for it; each is given once, but the last."""
        self.asked.append(request)
        fit = [answer for answer in self.answers if answer.is_for(request)]
        assert fit, f"the shape has no answer for a request with {sorted(request)}"
        if len(fit) > 1:
            self.answers.remove(fit[0])
        return fit[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    script: Script
    closing: threading.Event


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        is_known = self.path == "/v1/models"
        body = self.server.script.models if is_known else '{"detail": "Not Found"}'
        kind = {"content-type": "application/json"}
        self._send(Answer(200 if is_known else 404, kind, body.encode(), "length", (), ()))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == CHAT:
            self._send(self.server.script.next(json.loads(body)))
        else:
            self.do_GET()

    def _send(self, answer: Answer) -> None:
        self.close_connection = True
        self.send_response(answer.status)
        framing = {"length": ("content-length", str(len(answer.body)))}
        chunked = ("transfer-encoding", "chunked")
        framing |= {"chunked": chunked, "cut": chunked, "open": chunked}
        if answer.ends in framing:
            self.send_header(*framing[answer.ends])
        for name, value in {"connection": "close", **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if answer.ends in ("chunked", "cut", "open") and answer.body:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(answer.body), answer.body))
        elif answer.ends in ("length", "close"):
            self.wfile.write(answer.body)
        if answer.ends == "chunked":
            self.wfile.write(b"0\r\n\r\n")
        if answer.ends == "open":
            self.server.closing.wait()

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def sending(shape: dict[str, Any]) -> Iterator[tuple[str, Script]]:
    """A server that sends the answers of a shape: its URL, and what it was asked."""
    script = Script([Answer.of(shape), *map(Answer.of, shape.get("then", ()))])
    script.models = shape.get("models", MODELS)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.script, server.closing = script, threading.Event()
    with served(server, server.closing):
        yield f"http://127.0.0.1:{server.server_port}", script
