"""The command line against the scripted server: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support import commands

from jobs.store.state_dir import StateDir

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Until = Callable[..., object]


@pytest.fixture
def run(ktjob_command: list[str], ktjob_home: Path, tmp_path: Path) -> Run:
    """Run `ktjob` to its end in an empty folder."""

    def run(*args: str, stdin: str | bytes = "") -> subprocess.CompletedProcess[str]:
        done = commands.ran([*ktjob_command, *args], tmp_path, stdin)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text("It was a dark and stormy night. " * 50)
    return path


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path, "--answer", "A stormy night, at length.") as server:
        monkeypatch.setenv("KTJOB_SERVER", server.url)
        yield server


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server whose prefill outlasts any test."""
    with fake_sglang(tmp_path, "--prefill-seconds", "600") as server:
        monkeypatch.setenv("KTJOB_SERVER", server.url)
        yield server


@pytest.mark.promise
@pytest.mark.each_python
def test_submit_prints_the_id_alone_and_result_the_answer_alone(
    run: Run, book: Path, server: FakeServer
) -> None:
    """stdout is data: everything for people goes to stderr."""
    submitted = run("submit", str(book), "--summarize")
    job_id = submitted.stdout.strip()
    assert submitted.returncode == 0 and len(job_id) == 8
    assert server.url in submitted.stderr and f"ktjob wait {job_id}" in submitted.stderr
    waited = run("wait", job_id[:5])
    assert (waited.returncode, waited.stdout) == (0, "")
    assert "succeeded" in waited.stderr
    result = run("result", job_id)
    assert (result.returncode, result.stdout) == (0, "A stormy night, at length.\n")


def test_quiet_says_the_id_and_nothing_else(run: Run, book: Path, tmp_path: Path) -> None:
    """For scripts; of a failure it does speak, and it keeps its code."""
    options = ("--answer", "word " * 50, "--fault", "none,none,http_400_flat")
    with fake_sglang(tmp_path, *options) as server:
        where = ("--server", server.url)
        submitted = run("submit", "-q", str(book), *where)
        job_id = submitted.stdout.strip()
        assert submitted.stdout == f"{job_id}\n" and len(job_id) == 8
        assert (submitted.returncode, submitted.stderr) == (0, "")
        assert run("wait", job_id).returncode == 0
        waited = run("submit", "--quiet", str(book), *where, "--wait", "--max-tokens", "3")
        assert (waited.returncode, waited.stderr) == (0, "") and "word word" in waited.stdout
        failed = run("submit", "-q", str(book), *where, "--wait")
        assert (failed.returncode, failed.stdout) == (1, "") and "failed" in failed.stderr
    refused = run("submit", "-q", str(tmp_path / "nothing.txt"))
    assert (refused.returncode, refused.stdout) == (2, "") and "file not found" in refused.stderr


@pytest.mark.promise
def test_submit_and_wait_prints_the_answer(run: Run, book: Path, server: FakeServer) -> None:
    """One line to type, one answer to read; and one object in JSON."""
    done = run("submit", str(book), "--ask", "What weather?", "--wait")
    assert (done.returncode, done.stdout) == (0, "A stormy night, at length.\n")
    (body,) = server.requests()
    assert body["messages"][0]["content"].endswith("Answer from the text above: What weather?")
    done = run("submit", str(book), "--wait", "--json")
    told = json.loads(done.stdout)
    assert (told["state"], told["text"]) == ("SUCCEEDED", "A stormy night, at length.")
    assert told["figures"]["completion_tokens"] > 0


def test_standard_input_is_a_document(run: Run, server: FakeServer) -> None:
    """With its BOM dropped and its line ends normalised, unless raw."""
    text = "\ufeffone\r\ntwo\r\n"
    run("submit", "-", "--prompt", "Go.", "--wait", stdin=text)
    run("submit", "-", "--prompt", "Go.", "--raw", "--wait", stdin=text)
    sent = [body["messages"][0]["content"] for body in server.requests()]
    assert sent == ["one\ntwo\n\n\nGo.", "\ufeffone\r\ntwo\r\n\n\nGo."]


def test_result_to_a_file_is_whole_or_not_at_all(
    run: Run, book: Path, server: FakeServer, tmp_path: Path
) -> None:
    """And a file that cannot be written is a usage error."""
    job_id = run("submit", str(book)).stdout.strip()
    assert run("result", job_id, "-o", "early.txt").returncode in (0, 5)
    run("wait", job_id)
    done = run("result", job_id, "-o", "answer.txt")
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "answer.txt").read_text() == "A stormy night, at length.\n"
    failed = run("result", job_id, "-o", "no/such/folder.txt")
    assert failed.returncode == 2 and "folder.txt" in failed.stderr


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "file not found"),
        (lambda path: path.write_text(""), "is empty"),
        (lambda path: path.write_text(" \n\t\r\n"), "is empty"),
        (lambda path: path.mkdir(), "no text file"),
        (lambda path: path.write_bytes(b"\x7fELF\x02\x01\x01\0\0\0"), "not text"),
        (lambda path: path.write_bytes("石头记".encode("gb18030")), "--encoding GB18030"),
    ],
)
def test_a_bad_document_is_one_clear_line_and_nothing_is_stored(
    run: Run, tmp_path: Path, server: FakeServer, make: Callable[[Path], object], words: str
) -> None:
    """Exit code 2, no traceback, no job."""
    path = tmp_path / "document.txt"
    make(path)
    done = run("submit", str(path), "--summarize")
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr and done.stderr.count("\n") == 1
    assert json.loads(run("status", "--json").stdout) == []


def test_wrong_usage_is_told_and_nothing_is_stored(
    run: Run, book: Path, server: FakeServer
) -> None:
    """Exit code 2 for whatever was typed wrong."""
    for wrong in (
        ["submit"],
        ["submit", str(book), "--summarize", "--ask", "x"],
        ["submit", str(book), "--ask", " "],
        ["submit", str(book), "--max-tokens", "0"],
        ["submit", str(book), "--timeout", "-1"],
        ["submit", str(book), "--timeout", "nan"],
        ["submit", str(book), "--server", "ftp://x"],
        ["nonsense"],
    ):
        assert run(*wrong).returncode == 2, wrong
    assert json.loads(run("status", "--json").stdout) == []


def test_no_such_job_is_3(run: Run) -> None:
    """For every command that takes an id; and looking at nothing makes nothing."""
    for command in ("status", "wait", "result", "logs", "cancel"):
        done = run(command, "zzz")
        assert done.returncode == 3 and "no job 'zzz'" in done.stderr
    assert not Path(os.environ["KTJOB_HOME"]).exists()


def test_cancelled_is_4_and_not_finished_is_5(run: Run, book: Path, slow: FakeServer) -> None:
    """Waiting does not cancel; cancelling reaches the server."""
    job_id = run("submit", str(book)).stdout.strip()
    slow.wait_for_event("prefill_started")
    assert run("wait", job_id, "--timeout", "0.2").returncode == 5
    for wrong in ("-1", "nan"):
        done = run("wait", job_id, f"--timeout={wrong}")
        assert done.returncode == 2, done.stderr
        assert done.stderr.splitlines()[-1].endswith(f"0 seconds or more, not {wrong}")
    assert run("result", job_id).returncode == 5
    assert json.loads(run("status", job_id, "--json").stdout)["state"] == "RUNNING"
    cancelled = run("cancel", job_id)
    assert cancelled.returncode == 0 and "cancelled" in cancelled.stderr
    assert run("wait", job_id).returncode == 4
    slow.wait_for_event("disconnect")
    again = run("cancel", job_id)
    assert again.returncode == 0 and "already ended" in again.stderr


def test_no_server_is_6_and_nothing_is_stored(run: Run, book: Path) -> None:
    """The message says what to do."""
    done = run("submit", str(book), "--server", "http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (6, "")
    assert "no server answers at http://127.0.0.1:9" in done.stderr
    assert json.loads(run("status", "--json").stdout) == []


def test_what_cannot_fit_is_7_with_the_arithmetic(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused at submit, by the server's own count where it is close."""
    with fake_sglang(tmp_path, "--window", "4096") as server:
        close = tmp_path / "close.txt"
        close.write_text("word " * 3200)  # 4,000 tokens by the server's rule
        done = run("submit", str(close), "--server", server.url)
        assert (done.returncode, done.stdout) == (7, "")
        assert "the window is 4,096" in done.stderr and "1,024 for the answer" in done.stderr
        assert server.requests() == []
        assert (
            run("submit", str(close), "--server", server.url, "--max-tokens", "50").returncode == 0
        )
    assert len(json.loads(run("status", "--json").stdout)) == 1


def test_a_failed_job_is_1_with_its_cause(run: Run, book: Path, tmp_path: Path) -> None:
    """And keeps what had arrived."""
    with fake_sglang(
        tmp_path, "--fault", "cut_midway,cut_midway", "--answer", "one two three"
    ) as server:
        done = run("submit", str(book), "--server", server.url, "--wait")
    assert done.returncode == 1
    assert done.stdout.startswith("one") and "before the answer was complete" in done.stderr
    (job,) = json.loads(run("status", "--json").stdout)
    assert (job["state"], job["cause"]) == ("FAILED", "stream_cut")


def test_ctrl_c_detaches_and_never_cancels(
    ktjob_command: list[str], run: Run, book: Path, tmp_path: Path
) -> None:
    """Exit code 130, the way back is said, and the job finishes by itself."""
    with fake_sglang(tmp_path, "--answer", "Still here.") as server:
        server.hold()
        command = [*ktjob_command, "submit", str(book), "--server", server.url, "--wait"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as waiting:
            server.wait_for_event("prefill_started")
            waiting.send_signal(signal.SIGINT)
            _, said = waiting.communicate()
        server.let_go()
        assert waiting.returncode == 130
        job_id = said.split()[1].rstrip(":")
        assert f"ktjob wait {job_id}" in said and "still running" in said
        assert run("wait", job_id).returncode == 0
        assert run("result", job_id).stdout == "Still here.\n"


@pytest.mark.promise
def test_logs_tell_the_journey(run: Run, book: Path, server: FakeServer) -> None:
    """Every step with its time."""
    job_id = run("submit", str(book), "--wait", "--json").stdout
    told = run("logs", json.loads(job_id)["id"]).stdout
    steps = [
        "submitted",
        "worker started",
        "phase connecting",
        "phase sending",
        "phase decode",
        "finished",
    ]
    assert [step for step in steps if step in told] == steps


def test_a_key_reaches_the_server_and_nothing_else(
    run: Run,
    book: Path,
    tmp_path: Path,
    state: StateDir,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not the store, not a log, not what is printed, not a process's command line. It is lent to
    the job in a file of its own, which is gone soon after."""
    key = "sk-very-secret-1234567890"
    with fake_sglang(tmp_path, "--require-key", key) as server:
        refused = run("submit", str(book), "--server", server.url)
        assert refused.returncode == 1 and "KTJOB_API_KEY" in refused.stderr
        monkeypatch.setenv("KTJOB_API_KEY", key)
        done = run("submit", str(book), "--server", server.url, "--wait")
        assert done.returncode == 0
    assert key not in done.stdout + done.stderr
    until(lambda: not list(state.lent_keys.glob("*.key")))
    for path in state.root.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path


def test_model_output_cannot_steer_a_terminal(run: Run, book: Path, tmp_path: Path) -> None:
    """In a pipe the bytes are the model's own; the screen's own test covers terminals."""
    with fake_sglang(tmp_path, "--answer", "plain \x1b[31mred\x1b[0m") as server:
        done = run("submit", str(book), "--server", server.url, "--wait")
    assert done.stdout == "plain \x1b[31mred\x1b[0m\n"


def test_a_guessed_encoding_is_told_and_can_be_overruled(
    run: Run, tmp_path: Path, server: FakeServer
) -> None:
    """On stderr at `submit` and `check`; the document is stored as what was read."""
    text = (Path(__file__).parents[1] / "data/hongloumeng-opening.txt").read_text()
    (tmp_path / "book.txt").write_bytes(text.encode("gb18030"))
    told = "GB18030 (a guess); --encoding NAME overrides"
    assert told in run("check", "book.txt").stderr
    submitted = run("submit", "book.txt", "--wait")
    assert (submitted.returncode, told in submitted.stderr) == (0, True)
    assert "女娲氏" in server.requests()[-1]["messages"][0]["content"]
    named = run("submit", "book.txt", "--encoding", "gb18030")
    assert named.returncode == 0 and "guess" not in named.stderr
    refused = run("submit", "book.txt", "--encoding", "klingon")
    assert refused.returncode == 2 and "unknown encoding 'klingon'" in refused.stderr
