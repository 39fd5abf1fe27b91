"""A gateway in front of a server that dies, is away, or closes its stream: the server is the
scripted one, the gateway a small proxy that answers as nginx and others do."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.served import served
from support.standing_still import runner_stands_still

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, submit_long
from ktclient.cli.render import job_activity

Until = Callable[..., object]
KILLING = Path(__file__).parents[1] / "support" / "killing"
SLOW = "ktclient.request.status_errors._IMMEDIATELY_SECONDS=600"
"""An immediate answer may take a loaded machine a while."""
PROMPT = "x" * 81_920
MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "the gateway"}]}


class Gateway(ThreadingHTTPServer):
    """Passes requests on to `behind`, and reads each answer to its end. With `status`, it reports
    with that what it could not pass on; without, it closes an answer that breaks as a whole one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = ""
        self.status = 502
        self.answers_models = False
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Gateway
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.server.answers_models and self.path == "/v1/models":
            self._whole(200, json.dumps(MODELS).encode())
            return
        self._pass_on(None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked += self.path == "/v1/chat/completions"
        self._pass_on(body)

    def _pass_on(self, body: bytes | None) -> None:
        address = urlsplit(self.server.behind)
        line = http.client.HTTPConnection(str(address.hostname), address.port)
        kept = ("content-type", "authorization")
        headers = {name: self.headers[name] for name in kept if self.headers[name]}
        with contextlib.closing(line):
            try:
                line.request(self.command, self.path, body, headers)
                answer = line.getresponse()
            except OSError:
                self._whole(self.server.status, b"<html><title>Bad Gateway</title></html>")
                return
            with answer, contextlib.suppress(BrokenPipeError):
                self._relay(answer)

    def _relay(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        self.send_header("content-type", answer.headers["content-type"])
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        # If the server dies, what had come is closed as if that were all.
        with contextlib.suppress(http.client.HTTPException, ConnectionResetError):
            while piece := answer.read1(65_536):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _whole(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with served(Gateway()) as server:
        yield server


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another attempt begins as soon as the first is known to be dead."""
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    constants = f"jobs.runner.loop.REST_SECONDS=0.05,jobs.runner.loop.TICK_SECONDS=0.1,{SLOW}"
    monkeypatch.setenv("KTJOB_CONSTANTS", constants)


def notes_of(state: StateDir, job: Job, kind: str) -> list[dict[str, object]]:
    with Store.open(state) as store:
        return [event.data for event in store.events(job.id) if event.kind == kind]


def again_at(server: FakeServer) -> tuple[str, ...]:
    return ("--port", str(server.port), "--answer", "Back.")


@pytest.mark.promise
def test_a_death_that_looks_like_a_clean_end_is_a_cut(
    tmp_path: Path, state: StateDir, gateway: Gateway, until: Until, at_once: None
) -> None:
    """The server is killed in mid-prefill, before any word, and its gateway closes the stream in
    good order. Another attempt follows when the server is there again: one request to each."""
    with fake_sglang(tmp_path, "--prefill-seconds", "60", "--flavour", "kt") as dying:
        gateway.behind = dying.url
        job = submit_long(PROMPT, server=gateway.url)
        dying.wait_for_event("prefill_started")
        dying.process.kill()
        until(lambda: "waiting for the server (" in job_activity.activity(job.status()))
    with fake_sglang(tmp_path, *again_at(dying)) as reborn:
        assert job.result() == "Back."
        assert len(dying.requests()) == len(reborn.requests()) == 1
    assert job.status().attempt == 2
    assert "before the first word" in str(notes_of(state, job, "queued again"))


def test_the_last_attempt_that_ends_so_fails_with_its_cause(
    tmp_path: Path, state: StateDir, gateway: Gateway
) -> None:
    """As one that is cut after some words."""
    with fake_sglang(tmp_path, "--prefill-seconds", "60", "--flavour", "kt") as dying:
        gateway.behind = dying.url
        job = submit_long(PROMPT, server=gateway.url, max_attempts=1)
        dying.wait_for_event("prefill_started")
        dying.process.kill()
        with pytest.raises(errors.JobFailed, match="before the first word"):
            job.result()
    assert (job.status().cause, gateway.asked) == ("stream_cut", 1)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a server that is full; the pauses between two looks at one that is away are short."""
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    constants = (
        "ktclient.worker.retry.PATIENCE_SECONDS=0.05,"
        f"ktclient.worker.retry.LONGEST_AWAY_PAUSE_SECONDS=0.1,{SLOW}"
    )
    monkeypatch.setenv("KTJOB_CONSTANTS", constants)


ABSENCES = [(status, itself) for status in (502, 520, 521, 530) for itself in (True, False)]


@pytest.mark.promise
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("status", "answers_models"), ABSENCES)
def test_a_gateway_without_its_server_is_waited_at(
    tmp_path: Path,
    state: StateDir,
    gateway: Gateway,
    until: Until,
    status: int,
    answers_models: bool,
) -> None:
    """Longer than a server that is full, within one attempt; whether or not the gateway answers
    /v1/models itself. The server sees one request."""
    with fake_sglang(tmp_path) as early:
        gateway.behind, gateway.answers_models = early.url, answers_models
        gateway.status = status
        with runner_stands_still(state):
            job = submit_long("text", server=gateway.url)
            early.process.kill()
            early.process.wait()
        until(lambda: "waiting for the server (" in job_activity.activity(job.status()))
        assert f"HTTP {status}" in job_activity.activity(job.status())
        seen = gateway.asked
        if answers_models:
            until(lambda: gateway.asked > seen)
    with fake_sglang(tmp_path, *again_at(early)) as reborn:
        assert job.result() == "Back."
        assert len(reborn.requests()) == 1
    assert job.status().attempt == 1


@pytest.mark.promise
@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(("dies", "requests"), [(False, 2), (True, 4)])
def test_a_server_that_dies_of_a_request_behind_a_gateway_is_not_asked_for_ever(
    tmp_path: Path, state: StateDir, gateway: Gateway, dies: bool, requests: int
) -> None:
    """An immediate 502 though the server itself answers a query uses up an attempt. If it is away
    then, it is waited for; if it had answered right before, it died of the request."""
    with fake_sglang(tmp_path) as server:
        gateway.behind, gateway.RequestHandlerClass = server.url, _Deadly if dies else _Breaking
        job = submit_long("text", server=gateway.url)
        with pytest.raises(errors.JobFailed, match="which answered a query"):
            job.result()
    assert (job.status().cause, job.status().attempt) == ("bad_gateway", 2)
    assert gateway.asked == requests


class _Breaking(_Handler):
    """Loses every chat request immediately."""

    def do_POST(self) -> None:
        if self.path != "/v1/chat/completions":
            super().do_POST()
            return
        self.rfile.read(int(self.headers["content-length"]))
        self.server.asked += 1
        self._whole(502, b"")


class _Deadly(_Breaking):
    """Each chat request ends the server, which has been started again when it is next probed."""

    is_down = False

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            _Deadly.is_down = False
        if _Deadly.is_down:
            self._whole(502, b"")
            return
        super().do_GET()

    def do_POST(self) -> None:
        _Deadly.is_down |= self.path == "/v1/chat/completions"
        super().do_POST()
