"""What a job does about what comes back: asks again, waits, or tells its owner. The answers are of
proxies and gateways, which the scripted sglang does not play."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.served import served

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, submit_long

PACING = Path(__file__).parents[1] / "support" / "pacing"
MODELS = {"data": [{"id": "m", "owned_by": "sglang", "max_model_len": 1_000_000}]}
EVENTS = "text/event-stream"
WORD = {"choices": [{"index": 0, "delta": {"content": "Whole."}, "finish_reason": "stop"}]}
NGINX_504 = b"<html><head><title>504 Gateway Time-out</title></head></html>"


def usage(prompt_tokens: int) -> dict[str, object]:
    tokens = {"prompt_tokens": prompt_tokens, "completion_tokens": 1, "total_tokens": 1}
    return {"choices": [], "usage": tokens}


def stream(*chunks: object) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks)


class Gateway(ThreadingHTTPServer):
    """Gives its answers to chat requests in turn: status, headers and body; None cuts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], bytes] | None] = []
        self.asked_at: list[float] = []
        self.aborted: list[str] = []
        self.used_tokens = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        load = {
            "num_running_reqs": 0,
            "num_waiting_reqs": 0,
            "num_used_tokens": self.server.used_tokens,
        }
        body = {"loads": [load]} if self.path.startswith("/v1/loads") else MODELS
        self._send(200, {}, json.dumps(body).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/abort_request":
            self.server.aborted.append(body["rid"])
            self._send(200, {}, b"")
            return
        self.server.asked_at.append(time.monotonic())
        answer = self.server.answers.pop(0)
        if answer is not None:
            self._send(*answer)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


WHOLE = (200, {"content-type": EVENTS}, stream(WORD, usage(3)))


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with served(Gateway()) as server:
        yield server


def notes_of(state: StateDir, job: Job, kind: str) -> list[dict[str, object]]:
    with Store.open(state) as store:
        return [event.data for event in store.events(job.id) if event.kind == kind]


def rids_of(state: StateDir, job: Job) -> list[str]:
    with Store.open(state) as store:
        return [attempt.rid for attempt in store.attempts(job.id)]


@pytest.mark.promise
def test_a_proxy_that_gave_up_is_never_asked_again(state: StateDir, gateway: Gateway) -> None:
    """The server may still compute: it is told to stop, by name, and the owner what to do."""
    gateway.answers = [(504, {"content-type": "text/html"}, NGINX_504)]
    job = submit_long("text", server=gateway.url, max_attempts=5)
    with pytest.raises(errors.JobFailed, match="proxy_read_timeout"):
        job.result()
    assert len(gateway.asked_at) == len(gateway.aborted) == 1
    assert (job.status().cause, job.status().attempt) == ("proxy_gave_up", 1)


def paced(monkeypatch: pytest.MonkeyPatch, constant: str) -> None:
    monkeypatch.setenv("KTJOB_PACE", constant)
    monkeypatch.setenv("PYTHONPATH", str(PACING))


@pytest.mark.promise
def test_a_server_is_asked_again_when_it_said(
    state: StateDir, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not sooner than its Retry-After, though our own patience is shorter; the same attempt."""
    paced(monkeypatch, "ktclient.worker.retry:PATIENCE_SECONDS=1.0")
    gateway.answers = [(429, {"retry-after": "3"}, b'{"error":"slow down"}'), WHOLE]
    job = submit_long("text", server=gateway.url)
    assert job.result() == "Whole."
    first, second = gateway.asked_at
    assert second - first >= 3
    assert job.status().attempt == 1


def test_an_answer_that_said_why_it_ended_is_whole(state: StateDir, gateway: Gateway) -> None:
    """The line breaks before counts and closing mark: nothing is asked again for those."""
    gateway.answers = [(200, {"content-type": EVENTS, "content-length": "9999"}, stream(WORD))]
    job = submit_long("text", server=gateway.url)
    assert job.result() == "Whole."
    assert len(gateway.asked_at) == job.status().attempt == 1


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ((200, {"content-type": EVENTS, "content-encoding": "gzip"}, b"no gzip"), "protocol_error"),
        ((401, {"content-length": "9999"}, b"{"), "unauthorized"),
    ],
)
def test_an_answer_that_comes_mangled_is_never_asked_again(
    state: StateDir, gateway: Gateway, answer: tuple[int, dict[str, str], bytes], cause: str
) -> None:
    """Nobody died, and it would come mangled again."""
    gateway.answers = [answer]
    job = submit_long("text", server=gateway.url, max_attempts=5)
    with pytest.raises(errors.JobFailed):
        job.result()
    assert (job.status().cause, len(gateway.asked_at)) == (cause, 1)


def test_a_request_that_a_proxy_redirects_tells_where_to(state: StateDir, gateway: Gateway) -> None:
    """And is not sent there."""
    gateway.answers = [(307, {"location": f"{gateway.url}/elsewhere"}, b"")]
    job = submit_long("text", server=gateway.url)
    with pytest.raises(errors.JobFailed, match="/elsewhere"):
        job.result()
    assert job.status().cause == "redirected" and len(gateway.asked_at) == 1


@pytest.mark.promise
def test_a_busy_server_is_not_waited_for_longer_than_a_ghost_can_last(
    state: StateDir, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It serves others, and always will; the second attempt goes ahead and says why. It has waited
    once then, however often it is told to come back."""
    paced(monkeypatch, "ktclient.worker.ghost_prefill:LEAST_PATIENCE_SECONDS=1.0")
    gateway.used_tokens = 5
    gateway.answers = [None, (503, {}, b"The request queue is full."), WHOLE]
    job = submit_long("text", server=gateway.url)
    assert job.result() == "Whole."
    assert job.status().attempt == 2 and len(gateway.asked_at) == 3
    at_the_cut, before_the_second = gateway.aborted
    assert at_the_cut == before_the_second == rids_of(state, job)[0]
    (note,) = notes_of(state, job, "last attempt")
    assert note["silent"] is False and "serves other clients" in str(note["because"])


@pytest.mark.promise
def test_a_retry_ends_what_its_job_has_left_on_the_server(
    state: StateDir, gateway: Gateway, ktjob_command: list[str]
) -> None:
    """A cut line may leave it computing. What it had answered leaves nothing to wait for."""
    refused = (400, {}, b'{"message": "no"}')
    for answer, is_left in ((None, True), (refused, False)):
        gateway.answers, gateway.aborted = [answer, WHOLE], []
        job = submit_long("text", server=gateway.url, max_attempts=1)
        with pytest.raises(errors.JobFailed):
            job.result()
        gateway.aborted.clear()
        again = subprocess.run(
            [*ktjob_command, "retry", job.id],
            capture_output=True,
            text=True,
            check=True,
        )
        retried = Job(again.stdout.strip())
        assert retried.result() == "Whole."
        assert gateway.aborted == (rids_of(state, job) if is_left else [])
        assert notes_of(state, retried, "last attempt") == ([{"silent": True}] if is_left else [])


@pytest.mark.promise
def test_a_prompt_that_was_cut_short_is_told(
    state: StateDir, gateway: Gateway, ktjob_command: list[str]
) -> None:
    """By the numbers, beside the answer, which is kept."""
    gateway.answers = [(200, {"content-type": EVENTS}, stream(WORD, usage(8_192)))]
    job = submit_long("Many words of prose. " * 20_000, server=gateway.url)
    assert job.result() == "Whole."
    (note,) = notes_of(state, job, "prompt cut short?")
    assert note["tokens_read"] == 8_192
    shown = subprocess.run(
        [*ktjob_command, "result", job.id], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "Whole.\n"
    assert "reports 8,192 prompt tokens" in shown.stderr and "--allow-auto-truncate" in shown.stderr
