"""A server of one dialect that keeps the path and every header of each request it gets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.patience import HANG_SECONDS
from support.served import served

OWNERS = {
    "sglang": "sglang",
    "llama.cpp": "llamacpp",
    "vllm": "vllm",
    "openai-compatible": "library",
}
WINDOW = 2000
VLLM_METRICS = Path(__file__).parents[1] / "data" / "vllm" / "metrics-0.32.0.txt"
"""Recorded."""
_CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


@dataclass(frozen=True)
class Asked:
    """One request: its path without the query, and its headers, names in lower case."""

    path: str
    headers: dict[str, str]
    body: str = field(default="", repr=False)

    @property
    def key(self) -> str | None:
        return self.headers.get("authorization")


class Recorder(ThreadingHTTPServer):
    """While it is held, chat requests get no answer. `refusal`: status, headers and body of the
    answer to every chat; `unknown`: of chats that have this field; `refusals`: of other paths."""

    daemon_threads = True

    def __init__(self, dialect: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.dialect = dialect
        self.asked: list[Asked] = []
        self.refusal: tuple[int, dict[str, str], bytes] | None = None
        self.unknown: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.refusals: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.answer = ["Well."]
        """The pieces of the answer, each in a frame of its own."""
        self.let_go = threading.Event()
        self.let_go.set()
        self._came = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def note(self, asked: Asked) -> None:
        with self._came:
            self.asked.append(asked)
            self._came.notify_all()

    def wait_for(self, path: str, after: int = 0) -> None:
        """Until a request for this path has come, not counting the first `after` of all."""
        with self._came:
            came = self._came.wait_for(
                lambda: any(one.path == path for one in self.asked[after:]), HANG_SECONDS
            )
        assert came, (path, self.asked)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        self._answer({})

    def do_CONNECT(self) -> None:
        """As a proxy that lets nobody through."""
        self.server.note(
            Asked(self.path, {one.lower(): text for one, text in self.headers.items()})
        )
        self._send(403, {}, b"")

    def do_POST(self) -> None:
        self._answer(
            json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        )

    def _answer(self, body: dict[str, object]) -> None:
        path = self.path.partition("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.note(Asked(path, headers, json.dumps(body)))
        if path == "/v1/chat/completions":
            self.server.let_go.wait(HANG_SECONDS)
            unknown = next((name for name in self.server.unknown if name in body), None)
            if self.server.refusal is not None:
                self._send(*self.server.refusal)
            elif unknown is not None:
                self._send(*self.server.unknown[unknown])
            elif body.get("stream"):
                self._stream()
            else:
                self._json({"choices": [], "usage": {"prompt_tokens": 10**6}})
        elif path in self.server.refusals:
            self._send(*self.server.refusals[path])
        elif (found := self._said(path, body)) is None:
            self._json({"detail": "Not Found"}, 404)
        elif isinstance(found, bytes):
            self._send(200, {"content-type": "text/plain"}, found)
        else:
            self._json(found)

    def _said(self, path: str, body: dict[str, object]) -> object:
        text = str(body.get("prompt", body.get("content", "")))
        of_any = {"/v1/models": self._models()}
        of_sglang = {
            "/model_info": {"tokenizer_path": "/nowhere"},
            "/server_info": {
                "max_total_num_tokens": 100_000,
                "max_running_requests": 4,
                "chunked_prefill_size": 512,
                "enable_metrics": True,
            },
            "/v1/loads": {
                "loads": [{"num_running_reqs": 0, "num_waiting_reqs": 0, "num_used_tokens": 0}]
            },
            "/metrics": b'sglang:realtime_tokens_total{mode="prefill_compute"} 5.0\n'
            b'sglang:num_running_reqs{a="b"} 1.0\n',
            "/tokenize": {"count": len(text) // 4},
            "/abort_request": {},
        }
        of_llama: dict[str, object] = {
            "/apply-template": {"prompt": json.dumps(body.get("messages"))},
            "/tokenize": {"tokens": [0] * (len(text) // 4)},
            "/props": {"default_generation_settings": {"n_ctx": WINDOW}, "total_slots": 1},
            "/slots": [{"is_processing": False}],
            "/health": {"status": "ok"},
        }
        of_vllm: dict[str, object] = {
            "/metrics": VLLM_METRICS.read_bytes(),
            "/tokenize": {"count": len(json.dumps(body)) // 4},
            "/version": {"version": "0.32.0"},
        }
        of_all = {"sglang": of_sglang, "llama.cpp": of_llama, "vllm": of_vllm}
        own = of_all.get(self.server.dialect, {})
        return {**of_any, **own}.get(path)

    def _models(self) -> object:
        owner = OWNERS[self.server.dialect]
        entry = {"id": "m", "object": "model", "owned_by": owner, "max_model_len": WINDOW}
        return {"object": "list", "data": [entry]}

    def _stream(self) -> None:
        frames = [
            {"choices": [{"index": 0, "delta": {"content": one}, "finish_reason": None}]}
            for one in self.server.answer
        ]
        frames.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        lines = [f"data: {json.dumps({**_CHUNK, **one})}\n\n" for one in frames]
        body = "".join([*lines, "data: [DONE]\n\n"]).encode()
        self._send(200, {"content-type": "text/event-stream"}, body)

    def _json(self, body: object, status: int = 200) -> None:
        self._send(status, {"content-type": "application/json"}, json.dumps(body).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def recorder(dialect: str = "sglang") -> Iterator[Recorder]:
    """A recorder that serves until the end of the block."""
    server = Recorder(dialect)
    with served(server, server.let_go):
        yield server
