"""A server that answers each path as it is told, and notes what it was asked."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ktclient.servers.dialects.dialect import ServerFacts


class Tiny(ThreadingHTTPServer):
    """Answers each path as it is told, and notes what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def say(self, path: str, body: object, status: int = 200) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers[path] = (status, raw)

    def facts(self, dialect: str) -> ServerFacts:
        return ServerFacts(self.url, dialect, "the-model", 8192)


class Handler(BaseHTTPRequestHandler):
    server: Tiny

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def _answer(self, body: dict[str, object]) -> None:
        self.server.asked.append((self.path, body))
        self.server.keys.append(self.headers.get("authorization"))
        status, answer = self.server.answers.get(self.path, (404, b'{"detail":"Not Found"}'))
        if self.path == "/tokenize" and answer == b"characters":
            answer = json.dumps({"count": len(str(body["prompt"]))}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""
