"""A shared worker in this process: what it is sent, and what it sends back."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.patience import HANG_SECONDS

from jobs.processes import signals
from jobs.store.state_dir import StateDir
from jobs.worker import process, shared
from jobs.worker.shared import SharedWorker
from jobs.worker.thread_log import ThreadLog

Run = Callable[[str], bool]


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a line; the test's own one first."""
    monkeypatch.setattr(sys, "stderr", sys.stderr)  # restored, whoever replaces it
    monkeypatch.setattr(signals, "STOPPING", ())
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(HANG_SECONDS)
    with ours, theirs:
        yield ours, theirs


def worker(
    state: StateDir, theirs: socket.socket, monkeypatch: pytest.MonkeyPatch, run: Run
) -> SharedWorker:
    monkeypatch.setattr(process, "run_job", lambda state, job_id, *rest: run(job_id))
    return SharedWorker(state, lambda attempt: None, lambda: None, theirs)


def test_ids_come_back_as_their_jobs_end(
    state: StateDir,
    line: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They run beside each other: the first waits for the second. What is more to do is told."""
    ours, theirs = line
    second = threading.Event()

    def run(job_id: str) -> bool:
        if job_id == "b":
            second.set()
        return second.wait(HANG_SECONDS) and job_id == "a"

    one = worker(state, theirs, monkeypatch, run)
    ours.send(b"a")
    ours.send(b"b")
    ours.shutdown(socket.SHUT_WR)
    assert one.serve()
    assert {ours.recv(99), ours.recv(99)} == {b"a", b"b"}


def test_a_failure_lets_it_take_no_more(
    state: StateDir,
    line: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its job counts as running while the process lives; the other one may end first."""
    ours, theirs = line
    monkeypatch.setattr(shared, "LOOK_SECONDS", 0.01)
    gone = threading.Event()

    def run(job_id: str) -> bool:
        if job_id == "bad":
            raise ZeroDivisionError("in the thread")
        return gone.wait(HANG_SECONDS)

    one = worker(state, theirs, monkeypatch, run)
    ours.send(b"good")
    ours.send(b"bad")
    said: list[bytes] = []

    def hear() -> None:
        said.append(ours.recv(99))
        gone.set()
        said.append(ours.recv(99))

    hearing = threading.Thread(target=hear)
    hearing.start()
    one.serve()
    hearing.join()
    assert said == [shared.LEAVING, shared.LEAVING]
    assert "job bad" in capsys.readouterr().err


def test_each_thread_prints_into_its_own_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside one that has none, and where a log cannot be opened."""
    others = (tmp_path / "others").open("w+")
    with others:
        monkeypatch.setattr(sys, "stderr", others)
        log = ThreadLog.install()
        print("of nobody", file=sys.stderr)
        with log.of_this_thread(tmp_path / "a" / "own.log"):
            print("of one", file=sys.stderr)
            thread = threading.Thread(target=lambda: print("of its helper", file=sys.stderr))
            thread.start()
            thread.join()
        (tmp_path / "file").write_text("in the way")
        with log.of_this_thread(tmp_path / "file" / "own.log"):
            print("no log", file=sys.stderr)
        others.flush()
    assert (tmp_path / "others").read_text() == "of nobody\nof its helper\nno log\n"
    assert (tmp_path / "a" / "own.log").read_text() == "of one\n"
    assert (tmp_path / "a" / "own.log").stat().st_mode & 0o777 == 0o600
