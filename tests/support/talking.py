"""A server that sends what a test says, delta by delta, and waits where the test says so."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.patience import HANG_SECONDS
from support.served import served

Said = Sequence["str | dict[str, str] | threading.Event"]
"""Content, whole deltas, and events to wait for."""


class Talker(ThreadingHTTPServer):
    """Gives its answers in turn, the last one again and again."""

    daemon_threads = True

    def __init__(self, answers: Sequence[Said], window: int, reason: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._answers, self._lock = list(answers), threading.Lock()
        self.reason = reason
        self.models = {"data": [{"id": "m", "object": "model", "max_model_len": window}]}
        self.asked: list[str] = []
        """The last message of each request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next(self, body: dict[str, Any]) -> Said:
        with self._lock:
            self.asked.append(body["messages"][-1]["content"])
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class _Handler(BaseHTTPRequestHandler):
    server: Talker

    def do_GET(self) -> None:
        is_known = self.path == "/v1/models"
        self.send_response(200 if is_known else 404)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.models if is_known else {}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not self.path.endswith("/chat/completions"):
            return self.do_GET()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for said in self.server.next(body):
            if isinstance(said, threading.Event):
                assert said.wait(HANG_SECONDS)
            else:
                delta = {"content": said} if isinstance(said, str) else said
                self._send({"choices": [{"delta": delta}]})
        self._send({"choices": [{"delta": {}, "finish_reason": self.server.reason}]})
        self._send({"choices": [], "usage": {"prompt_tokens": 999_999, "completion_tokens": 50}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, chunk: object) -> None:
        self.wfile.write(b"data: %s\n\n" % json.dumps(chunk).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def talking(*answers: Said, window: int = 100_000, reason: str = "stop") -> Iterator[Talker]:
    """A server for the length of a test."""
    with served(Talker(answers, window, reason)) as server:
        yield server
