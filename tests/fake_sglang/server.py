"""The HTTP side: routes, keys, and the life of the process."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any

from fake_sglang import loads, wire
from fake_sglang.chat import Site, serve_chat
from fake_sglang.client import Client
from fake_sglang.engine import Engine
from fake_sglang.faults import NOT_FOUND, UNAUTHORIZED, Answer, FaultPlan, json_answer
from fake_sglang.journal import Journal
from fake_sglang.options import Options, parse
from fake_sglang.serverlog import ServerLog
from fake_sglang.starting import Start

# uvicorn closes an idle connection after 5 s: pooled clients meet a reset (facts/server.md 3).
IDLE_SECONDS = 5.0
SCHEDULER_SECONDS = 36_000.0  # for ever: the real one does not give up
METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def handle_one_request(self) -> None:
        """Wait for the next request for a while; a request under way may take its time."""
        self.connection.settimeout(IDLE_SECONDS)
        super().handle_one_request()

    def do_GET(self) -> None:
        """Everything that one asks for."""
        if not self._is_allowed():
            return
        path = self.path.partition("?")[0]
        if path in ("/health", "/health_generate"):
            self._health()
        elif path == "/metrics" and self.server.site.options.metrics:
            self._metrics()
        else:
            self._client.answer(self._facts(path))

    def do_POST(self) -> None:
        """Chat, abort and tokenize."""
        raw = self._read_body()
        if not self._is_allowed():
            return
        path = self.path.partition("?")[0]
        if path == "/v1/chat/completions":
            with self.server.writing():
                serve_chat(self.server.site, self._client, raw)
        elif path == "/abort_request":
            self._abort(raw)
        elif path in ("/tokenize", "/v1/tokenize"):
            self._client.answer(self._tokenize(raw))
        else:
            self._client.answer(NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the journal tells it better."""

    @property
    def _client(self) -> Client:
        return Client(self, self.server.site.log)

    def _read_body(self) -> bytes:
        """A slow upload is not an idle connection."""
        self.connection.settimeout(None)
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _is_allowed(self) -> bool:
        """sglang utils/auth.py: /health* and /metrics* need no key."""
        key = self.server.site.options.require_key
        if key is None or self.path.startswith(("/health", "/metrics")):
            return True
        kind, _, given = (self.headers.get("authorization") or "").partition(" ")
        if kind.lower() == "bearer" and secrets.compare_digest(given.encode(), key.encode()):
            return True
        self.server.site.journal.event("unauthorized", path=self.path)
        self._client.answer(UNAUTHORIZED)
        return False

    def _facts(self, path: str) -> Answer:
        options, engine = self.server.site.options, self.server.site.engine
        if path in ("/server_info", "/v1/loads"):
            self.server.site.journal.event("asked", path=path)
        if path == "/v1/models":
            return json_answer(200, wire.models(options))
        if path in ("/model_info", "/get_model_info"):
            return json_answer(200, wire.model_info(options))
        if path in ("/server_info", "/get_server_info"):
            self._ask_scheduler()
            return json_answer(200, wire.server_info(options))
        if path == "/v1/loads":
            # kt asks its scheduler, which answers between chunks (recorded: 0.2 to 26 s), one
            # question at a time: those whose askers have gone are still asked. Upstream reads a
            # shared snapshot, at once.
            if options.is_kt:
                with self.server.one_at_a_time:
                    self._ask_scheduler()
                    return json_answer(200, loads.loads(options, engine.load()))
            return json_answer(200, loads.loads(options, engine.load()))
        if path == "/get_load":
            self._ask_scheduler()
            return json_answer(200, loads.get_load(options, engine.load()))
        return NOT_FOUND

    def _ask_scheduler(self) -> None:
        site = self.server.site
        if not site.options.instant_loads:
            site.engine.settle(SCHEDULER_SECONDS)

    def _health(self) -> None:
        """A probe through the scheduler, as sglang's: not quicker than its chunk, and false after
        20 s (SGLANG_HEALTH_CHECK_TIMEOUT)."""
        site, server = self.server.site, self.server
        if server.is_draining:
            site.log.line("Health check request received during shutdown. Returning 503.")
            self._client.answer(Answer(503))
            return
        began, limit = time.time(), site.options.health_timeout
        time.sleep(site.options.health_seconds)
        server.is_well = site.engine.is_well(limit)
        if not server.is_well:
            site.log.unhealthy(limit * site.options.speed, began)
        self._client.answer(Answer(200 if server.is_well else 503))

    def _metrics(self) -> None:
        site = self.server.site
        site.journal.event("asked", path="/metrics")
        client = self._client
        client.start_stream(METRICS, "Content-Type")  # its case, as recorded
        client.write(wire.metrics(site.options, site.engine.gauges()))
        client.end_stream()

    def _abort(self, raw: bytes) -> None:
        """Instant, and without a body; an unknown rid is silently ignored (recorded)."""
        asked = json.loads(raw)
        prefix = str(asked.get("rid") or "")
        matched = self.server.site.engine.abort(prefix, bool(asked.get("abort_all")))
        self.server.site.journal.event("abort", rid=prefix, matched=matched)
        self._client.answer(Answer(200))

    def _tokenize(self, raw: bytes) -> Answer:
        options = self.server.site.options
        count = options.count_tokens(str(json.loads(raw).get("prompt", "")))
        tokens = list(range(count))
        body = {"tokens": tokens, "count": count, "max_model_len": options.window}
        return json_answer(200, body)


SEARCHED_PORTS = (40001, 30000)
"""Where ktjob looks for servers (`ktclient.servers.selection.WELL_KNOWN_PORTS`)."""


class Server(ThreadingHTTPServer):
    """The listening socket and what its connections share."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, options: Options, log: ServerLog) -> None:
        journal = Journal(options.record)
        engine = Engine(options, journal, log)
        self.site = Site(options, engine, journal, FaultPlan(options.fault), log)
        self.one_at_a_time = threading.Lock()
        self.is_well = True
        self.is_draining = False
        self._writers = 0
        self._last_words = threading.Condition()
        super().__init__(("127.0.0.1", options.port), Handler)

    def server_bind(self) -> None:
        """On a free port that no other test searches for servers."""
        super().server_bind()
        if self.site.options.port == 0 and self.server_port in SEARCHED_PORTS:
            taken, self.socket = self.socket, socket.socket(self.address_family, self.socket_type)
            with taken:  # until then it is not given again
                self.server_address = ("127.0.0.1", 0)
                super().server_bind()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """While an answer is on its way to its client."""
        with self._last_words:
            self._writers += 1
        try:
            yield
        finally:
            with self._last_words:
                self._writers -= 1
                self._last_words.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of the server."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def drain(self) -> None:
        """sglang's sigterm_watchdog: wait for all requests, and for ghosts; but if the last
        /health failed, for nobody. New requests are taken meanwhile."""
        self.is_draining = True
        site = self.site
        while self.is_well and (rids := site.engine.remaining()):
            site.log.drains(rids)
            time.sleep(site.options.drain_seconds)
        if not self.is_well:
            site.log.line("Signal SIGTERM received while health check failed. Force exiting.")
        else:
            site.log.drains([])
            # The real one looks every 5 s: the last words of an answer are long out by then.
            with self._last_words:
                self._last_words.wait_for(lambda: not self._writers, timeout=5)
        os._exit(0)


def _end_on_sigterm(server: Server) -> None:
    """At once, or with --drain as sglang does."""

    def end(signum: int, frame: FrameType | None) -> None:
        if server.site.options.deaf:
            return
        if not server.site.options.drain:
            raise SystemExit(0)
        if not server.is_draining:
            server.is_draining = True
            threading.Thread(target=server.drain, name="drain", daemon=True).start()

    signal.signal(signal.SIGTERM, end)


def main(argv: list[str] | None = None) -> None:
    """Serve until SIGTERM."""
    options = parse(argv)
    log = ServerLog(options)
    start = Start(options, log)
    start.loads()
    with start.binding(), Server(options, log) as server:
        _end_on_sigterm(server)
        server.site.engine.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        start.serves()
        print(f"listening on {url}", flush=True)
        log.line(f"INFO:     Uvicorn running on {url} (Press CTRL+C to quit)")
        start.goes_on()
        server.serve_forever(poll_interval=0.1)
