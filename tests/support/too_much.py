"""A real server that answers more than anybody asked for: each shape is the bytes of one response,
headers included, in pieces that are sent until the client has had enough."""

from __future__ import annotations

import contextlib
import functools
import gzip
import itertools
import json
import socketserver
import threading
import time
import zlib
from collections.abc import Callable, Iterator

from support.served import served

Shape = Callable[[], Iterator[bytes]]
EVENTS = "text/event-stream"
BLOCK = 1 << 16
MODELS = {"data": [{"id": "m", "owned_by": "sglang", "max_model_len": 1_000_000}]}


def head(kind: str = EVENTS, status: int = 200, **more: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def event(text: str, field: str = "content") -> bytes:
    return (
        b"data: %s\n\n"
        % json.dumps(
            {"choices": [{"index": 0, "delta": {field: text}}]}, ensure_ascii=False
        ).encode()
    )


END = (
    b"data: %s\n\n"
    % json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).encode()
)


def streaming(*pieces: bytes, then: bytes = b"") -> Shape:
    """An event stream: these pieces once, then one without end."""
    return lambda: iter(itertools.chain([head(), *pieces], itertools.repeat(then) if then else []))


def replying(body: bytes, then: bytes = b"", kind: str = "application/json", **more: str) -> Shape:
    """Any other response, in the same way."""
    endless = itertools.repeat(then) if then else ()
    return lambda: itertools.chain([head(kind, **more) + body], endless)


def failing(status: int, body: bytes, then: bytes = b"") -> Shape:
    endless = itertools.repeat(then) if then else ()
    return lambda: itertools.chain([head("application/json", status) + body], endless)


def compressed(kind: str, begin: bytes, then: bytes, status: int = 200) -> Shape:
    """Gzip without end: a megabyte for each kilobyte that is sent."""

    def shape() -> Iterator[bytes]:
        packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        begun = packer.compress(begin) + packer.flush(zlib.Z_SYNC_FLUSH)
        yield head(kind, status, content_encoding="gzip") + begun
        while True:
            yield packer.compress(then) + packer.flush(zlib.Z_SYNC_FLUSH)

    return shape


def twice_compressed(kind: str, begin: bytes, of: bytes, megabytes: int) -> Shape:
    """A bomb in a bomb: a few hundred bytes for each megabyte. Made when it is first sent."""

    @functools.cache
    def bomb() -> bytes:
        return gzip.compress(gzip.compress(begin + of * (megabytes * (1 << 20) // len(of))))

    return lambda: replying(bomb(), kind=kind, content_encoding="gzip, gzip")()


def trickling(first: bytes, then: bytes, seconds: float) -> Shape:
    """A byte, or a few, at a time."""

    def shape() -> Iterator[bytes]:
        yield first
        while True:
            time.sleep(seconds)  # the pace of this server: nothing waits for it but its client
            yield then

    return shape


def silent(first: bytes, until: threading.Event) -> Shape:
    """The first bytes, and then nothing."""

    def shape() -> Iterator[bytes]:
        yield first
        until.wait()

    return shape


class TooMuch(socketserver.ThreadingTCPServer):
    """Answers queries sanely as an idle sglang, but those to a path in `shapes` in that shape. The
    first `sane_models` queries of /v1/models are answered sanely too."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.shapes: dict[str, Shape] = {}
        self.sane_models = 0
        self.asked: list[str] = []
        self.aborted: list[str] = []
        self.folder = ""
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has had enough is no news."""

    def answer(self, path: str, body: bytes) -> Iterator[bytes]:
        self.asked.append(path)
        if path in self.shapes and not self._is_sane_yet(path):
            return self.shapes[path]()
        if path == "/abort_request":
            self.aborted.append(json.loads(body)["rid"])
        return replying(json.dumps(self._sane(path)).encode())()

    def _is_sane_yet(self, path: str) -> bool:
        return path == "/v1/models" and self.asked.count(path) <= self.sane_models

    def _sane(self, path: str) -> object:
        loads = {"num_running_reqs": 0, "num_waiting_reqs": 0, "num_used_tokens": 0}
        return {
            "/v1/models": MODELS,
            "/v1/loads": {"loads": [loads]},
            "/model_info": {"tokenizer_path": self.folder},
        }.get(path, {})


class _Handler(socketserver.StreamRequestHandler):
    server: TooMuch

    def handle(self) -> None:
        path, length = self.rfile.readline().split()[1].decode().partition("?")[0], 0
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        with contextlib.suppress(OSError):
            for piece in self.server.answer(path, self.rfile.read(length)):
                self.connection.sendall(piece)


@contextlib.contextmanager
def serving() -> Iterator[TooMuch]:
    server = TooMuch()
    with served(server, server.closing):
        yield server
