"""Servers that answer no query while they read a prompt: their silence says nothing.

The minutes of `ktclient.request.liveness` are tenths of a second here (tests/support/pacing).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.served import served

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, submit_long
from ktclient.servers import habits, listening

Until = Callable[..., object]

PACING = Path(__file__).parents[1] / "support" / "pacing"
GIVE_UP = 3.0
PACE = {
    "ktclient.request.liveness:ASK_SECONDS": 0.2,
    "ktclient.request.liveness:ANSWER_SECONDS": 0.5,
    "ktclient.request.liveness:WORRY_SECONDS": 1.5,
    "ktclient.request.liveness:GIVE_UP_SECONDS": GIVE_UP,
}
TEXT = "The ferry was late again.\n" * 50
ANSWER = b'data: {"choices": [{"delta": {"content": "Well."}, "finish_reason": "stop"}]}\n\n'


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ",".join(f"{place}={number}" for place, number in PACE.items())
    monkeypatch.setenv("KTJOB_PACE", settings)
    monkeypatch.setenv("PYTHONPATH", str(PACING))


class Server(HTTPServer):
    """Serves one connection at a time, as small local servers do. `reads`: set when a prompt has
    been read."""

    request_queue_size = 50

    def __init__(self, prefill_seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.prefill_seconds = prefill_seconds
        self.reads = threading.Event()
        self.answers = threading.Event()
        self.answers.set()
        self.requests = self.queries = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A query that has been given up."""


class Answering(ThreadingHTTPServer, Server):
    """Answers queries at any time, until it hangs: while `answers` is cleared."""

    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.queries += 1
        self.server.answers.wait()
        self._say(
            json.dumps({"object": "list", "data": [{"id": "m"}]}).encode(), "application/json"
        )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.requests += 1
        self.server.reads.wait(self.server.prefill_seconds)
        self._say(ANSWER, "text/event-stream")

    def _say(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def serving(server: Server) -> AbstractContextManager[Server]:
    return served(server, server.reads, server.answers)


def kinds_of(state: StateDir, job: Job) -> list[str]:
    with Store.open(state) as store:
        return [event.kind for event in store.events(job.id)]


@pytest.mark.promise
def test_a_server_that_answers_nobody_while_it_reads_is_never_called_hung(
    state: StateDir,
) -> None:
    """It reads for longer than a hung server is given: one request, a whole answer, and a word. The
    next one knows it."""
    with serving(Server(2.5 * GIVE_UP)) as server:
        for _ in range(2):
            job = submit_long(TEXT, server=server.url, max_attempts=1)
            assert job.result() == "Well."
            kinds = kinds_of(state, job)
            assert kinds.count("no answers while it reads") == 1
            assert "server not answering" not in kinds
            with Store.open(state) as store:
                run = listening.run_of(server.url)
                assert not habits.is_known_to_answer(store, server.url, run, "sglang")
        assert server.requests == 2


def test_a_server_that_answered_and_then_stopped_is_called_hung(
    state: StateDir, until: Until
) -> None:
    """Though nothing was known of it before."""
    with serving(Answering(600.0)) as server:
        job = submit_long(TEXT, server=server.url, max_attempts=1)
        until(lambda: server.requests)
        before = server.queries
        until(lambda: server.queries >= before + 2)  # one of them was answered
        server.answers.clear()
        job.wait()
        assert job.status().cause == "server_hung" and server.requests == 1
    assert "server not answering" in kinds_of(state, job)


def test_an_earlier_prefill_has_shown_that_it_answers(state: StateDir, until: Until) -> None:
    """So its silence from the first moment on is news."""
    with serving(Answering(600.0)) as server:
        first = submit_long(TEXT, server=server.url)
        until(lambda: server.requests)
        before = server.queries
        until(lambda: server.queries >= before + 3)
        server.reads.set()
        assert first.result() == "Well."
        server.reads.clear()
        with Store.open(state) as store:
            run = listening.run_of(server.url)
            assert habits.is_known_to_answer(store, server.url, run, "openai-compatible")
        job = submit_long(TEXT, server=server.url, ask="Why?", max_attempts=1)
        until(lambda: server.requests == 2)
        server.answers.clear()
        job.wait()
        assert job.status().cause == "server_hung"


def test_with_probe_off_nobody_asks(
    state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand, for a server that hangs of questions."""
    with serving(Answering(2.5 * GIVE_UP)) as server:
        config = tmp_path / "config"
        config.mkdir()
        (config / "config.toml").write_text(f'[server]\nurl = "{server.url}"\nprobe = "off"\n')
        monkeypatch.setenv("KTJOB_CONFIG", str(config))
        job = submit_long(TEXT)
        assert job.result() == "Well."
        asked_before_it = 2  # by submit, and by the worker before its request
        assert server.requests == 1 and server.queries <= asked_before_it
    assert "no answers while it reads" not in kinds_of(state, job)
