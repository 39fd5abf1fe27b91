"""A server that answers nobody: noticed by asking, and not by its silence.

The minutes of `ktclient.request.liveness` are tenths of a second here (tests/support/pacing).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.patience import HANG_SECONDS

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, submit_long

Until = Callable[..., object]

PACING = Path(__file__).parents[1] / "support" / "pacing"
PACE = {
    "ktclient.request.liveness:ASK_SECONDS": 0.2,
    "ktclient.request.liveness:ANSWER_SECONDS": 0.5,
    "ktclient.request.liveness:WORRY_SECONDS": 1.5,
    "ktclient.request.liveness:GIVE_UP_SECONDS": 60.0,
}
PROMPT = "x" * 81_920  # 20,480 tokens


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Scale the runner's minutes; says when to give up, in seconds."""

    def set_pace(give_up: float, **more: float) -> None:
        numbers = {**PACE, "ktclient.request.liveness:GIVE_UP_SECONDS": give_up}
        numbers |= {f"ktclient.request.liveness:{name}": value for name, value in more.items()}
        settings = ",".join(f"{place}={number}" for place, number in numbers.items())
        monkeypatch.setenv("KTJOB_PACE", settings)
        monkeypatch.setenv("PYTHONPATH", str(PACING))

    return set_pace


def kinds_of(state: StateDir, job: Job) -> list[str]:
    with Store.open(state) as store:
        return [event.kind for event in store.events(job.id)]


def stop(server: FakeServer) -> None:
    os.kill(server.process.pid, signal.SIGSTOP)


@contextlib.contextmanager
def woken(server: FakeServer) -> Iterator[None]:
    """It can be ended after the test, stopped or not."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.process.pid, signal.SIGCONT)


@pytest.mark.promise
def test_a_silent_server_that_answers_questions_is_left_in_peace(
    tmp_path: Path, state: StateDir, pace: Callable[..., None]
) -> None:
    """Its prefill takes longer than a hung server is given. sglang-kt answers no /health and no
    /v1/loads meanwhile."""
    pace(4.0, ANSWER_SECONDS=4.0)  # on a busy machine an answer may take its time
    options = ("--prefill-seconds", "6", "--chunk", "99999", "--answer", "In the end.")
    with fake_sglang(tmp_path, *options) as server:
        job = submit_long(PROMPT, server=server.url)
        assert job.result() == "In the end."
        assert len(server.requests()) == 1
    assert job.status().attempt == 1


@pytest.mark.promise
def test_a_stopped_server_is_told_of_and_waited_for(
    tmp_path: Path, state: StateDir, until: Until, pace: Callable[..., None]
) -> None:
    """It goes on after a while: one request, a whole answer, and both notes."""
    pace(60.0)
    with fake_sglang(tmp_path, "--answer", "Whole again.") as server, woken(server):
        server.hold()
        job = submit_long(PROMPT, server=server.url)
        server.wait_for_event("prefill_started")
        stop(server)
        until(lambda: "server not answering" in kinds_of(state, job))
        now = until(lambda: (s := job.status()).phase == "not answering" and s.done and s)
        assert now.unit == "seconds" and now.total == 60  # type: ignore[attr-defined]
        os.kill(server.process.pid, signal.SIGCONT)
        server.let_go()
        assert job.result() == "Whole again."
        assert len(server.requests()) == 1
    both = ["server not answering", "server answers again"]
    notes = [kind for kind in kinds_of(state, job) if kind in both]
    # One of each for each silence: a busy machine may make a second one of more than WORRY_SECONDS.
    assert notes == both * (len(notes) // 2) and notes
    assert job.status().attempt == 1


def test_a_server_that_hangs_for_ever_is_given_up(
    tmp_path: Path, state: StateDir, until: Until, pace: Callable[..., None]
) -> None:
    """In the middle of its answer: the text is kept, the cause is its own."""
    pace(3.0)
    options = ("--answer", "one two three " * 400, "--chunk", "4096")
    with fake_sglang(tmp_path, *options) as server, woken(server):
        server.hold()
        server.step(20)  # the chunks of its prefill, and some words
        job = submit_long(PROMPT, server=server.url, max_attempts=1)
        until(lambda: job.status().phase == "decode")
        until(lambda: job.status().done or 0)
        stop(server)
        with pytest.raises(errors.JobFailed, match="restart it") as failed:
            job.result()
    assert failed.value.partial_text.startswith("one two")
    assert job.status().cause == "server_hung"


def test_a_hung_server_gets_another_attempt_once_it_was_restarted(
    tmp_path: Path, state: StateDir, until: Until, pace: Callable[..., None]
) -> None:
    """The second attempt waits for it, and asks once."""
    pace(3.0)
    with fake_sglang(tmp_path, "--prefill-seconds", "600") as hung, woken(hung):
        job = submit_long(PROMPT, server=hung.url)
        hung.wait_for_event("prefill_started")
        stop(hung)
        until(lambda: job.status().attempt == 2)
        hung.process.kill()
        hung.process.wait()
    with fake_sglang(tmp_path, "--port", str(hung.port), "--answer", "New.") as reborn:
        assert job.result() == "New."
        assert len(reborn.requests()) == len(hung.requests()) == 1


class Tunnel:
    """The near end of an SSH tunnel: takes every connection, and loses it when nobody is behind.
    The one that carries the request stays open."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.close()
        for one in self._held:
            one.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    near.close()
                    continue
                self._held += [near, far]
                threading.Thread(target=self._pump, args=(near, far), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, near), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        """Never hands an end on: that is what a tunnel over a dead link does."""
        with contextlib.suppress(OSError):
            while block := source.recv(65536):
                target.sendall(block)


def test_a_dead_server_behind_a_tunnel_that_stands_is_noticed(
    tmp_path: Path, state: StateDir, until: Until, pace: Callable[..., None]
) -> None:
    """Our connection lives; every new one is closed at once. The same clock."""
    pace(3.0)
    with fake_sglang(tmp_path, "--prefill-seconds", "600") as server:
        tunnel = Tunnel(server.port)
        with contextlib.closing(tunnel):
            job = submit_long(PROMPT, server=tunnel.url, max_attempts=1)
            server.wait_for_event("prefill_started")
            server.process.kill()
            server.process.wait()
            with pytest.raises(errors.JobFailed, match="tunnel"):
                job.result()
    assert job.status().cause == "server_hung"


@pytest.mark.promise
@pytest.mark.long
def test_follow_says_so_under_the_text_too(
    tmp_path: Path, state: StateDir, pace: Callable[..., None], ktjob_command: list[str]
) -> None:
    """On stderr, while the text waits; stdout holds the text alone, to its end."""
    pace(60.0)
    words = " ".join(f"word{number}" for number in range(1, 31))
    options = ("--answer", words, "--token-seconds", "0.02")
    with fake_sglang(tmp_path, *options) as server, woken(server):
        server.hold()
        server.step(5)  # the prefill and some words; the rest when it goes on
        job = submit_long("text\n", server=server.url)
        pipe = subprocess.PIPE
        with subprocess.Popen(
            [*ktjob_command, "follow", job.id], stdout=pipe, stderr=pipe, text=True
        ) as follow:
            assert follow.stdout is not None and follow.stderr is not None
            begun = follow.stdout.read(len("word1 word2 "))
            stop(server)
            patience = threading.Timer(HANG_SECONDS, follow.kill)
            patience.start()
            said = ""
            while "the server has not answered for" not in said:
                line = follow.stderr.readline()
                assert line, said
                said += line
            os.kill(server.process.pid, signal.SIGCONT)
            server.let_go()
            rest = follow.stdout.read()  # communicate() passes over what read() has buffered
            follow.wait()
            patience.cancel()
        assert follow.returncode == 0 and begun + rest == words + "\n"
