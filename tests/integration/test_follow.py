"""`ktjob follow`: progress and the text as it streams, left and taken up again at any moment."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.patience import HANG_SECONDS

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, submit_long

WORDS = " ".join(f"word{number}" for number in range(1, 2_001))
Follow = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def follow(ktjob_command: list[str], ktjob_home: Path) -> Iterator[Follow]:
    """Start `ktjob follow` in a pipe; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def follow(*args: str) -> subprocess.Popen[str]:
        command = [*ktjob_command, "follow", *args]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield follow
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[FakeServer]:
    """A server that writes for longer than any test lasts."""
    options = ("--answer", WORDS, "--token-seconds", "0.1", "--prefill-seconds", "0.3")
    with fake_sglang(tmp_path, *options) as server:
        yield server


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """What stdout gave until this word came."""
    assert process.stdout is not None
    text = ""
    give_up = time.monotonic() + HANG_SECONDS
    while word not in text:
        assert time.monotonic() < give_up, text
        if select.select([process.stdout], [], [], 1.0)[0]:
            got = os.read(process.stdout.fileno(), 65536).decode()
            assert got, f"ended before {word!r} came: {text!r}"
            text += got
    return text


@pytest.mark.promise
def test_the_text_comes_while_it_is_written_and_again_from_its_beginning(
    follow: Follow, writing: FakeServer
) -> None:
    """Ctrl-C detaches (130) and the job goes on; who comes back reads it all, or with --tail the
    rest; stdout holds the text alone."""
    job = submit_long("A dark and stormy night.\n", server=writing.url)
    first = follow(job.id[:6])
    begun = read_until(first, "word3 ")
    assert job.status().state == "RUNNING" and not writing.events("answered")
    rest = follow(job.id, "--tail")
    read_until(rest, "word")
    first.send_signal(signal.SIGINT)
    out, said = first.communicate()
    assert first.returncode == 130 and WORDS.startswith((begun + out).strip("\n"))
    assert f"ktjob follow {job.id}" in said and "still running" in said
    assert job.status().state == "RUNNING"
    again = follow(job.id)
    whole = read_until(again, "word3 ")
    job.cancel()
    whole += again.communicate()[0]
    out, said = rest.communicate()
    assert whole.startswith("word1 word2 ") and WORDS.startswith(whole[:-1])
    assert out and whole.endswith(out) and "word1 " not in out
    assert (again.returncode, rest.returncode) == (4, 4)
    assert f"job {job.id} cancelled" in said


def test_of_a_job_that_has_ended_all_its_text_and_how(
    follow: Follow, tmp_path: Path, ktjob_home: Path
) -> None:
    """A failed one keeps what had arrived, and its exit code; --tail has nothing to add."""
    options = ("--fault", "cut_midway,cut_midway", "--answer", "one two three four")
    with fake_sglang(tmp_path, *options) as server:
        job = submit_long("text\n", server=server.url, max_attempts=1).wait()
    ended = follow(job.id)
    out, said = ended.communicate()
    assert (ended.returncode, out) == (1, "one two \n")
    assert f"job {job.id} failed" in said and "before the answer was complete" in said
    nothing = follow(job.id, "--tail")
    out, said = nothing.communicate()
    assert (nothing.returncode, out) == (1, "") and f"job {job.id} failed" in said


def test_a_second_attempt_begins_anew_and_says_so(
    follow: Follow, writing: FakeServer, state: StateDir
) -> None:
    """The worker dies in the middle of the answer."""
    job = submit_long("text\n", server=writing.url)
    process = follow(job.id)
    begun = read_until(process, "word5 ")
    with Store.open(state) as store:
        attempt = store.attempt(store.job(job.id))
    assert attempt is not None
    os.kill(attempt.worker.pid, signal.SIGKILL)
    begun += read_until(process, "\nword1 word2 ")
    job.cancel()
    out, said = process.communicate()
    assert process.returncode == 4, said
    assert "attempt 2 of 2 starts: " in said and "starts again" in said
    first, second, end = (begun + out).split("\n")
    assert WORDS.startswith(first) and WORDS.startswith(second) and end == ""


def test_on_a_terminal_nothing_steers_it_and_the_line_makes_way(
    ktjob_command: list[str], tmp_path: Path, ktjob_home: Path
) -> None:
    """Progress first, then the text with its control characters made harmless."""
    with fake_sglang(tmp_path, "--answer", "plain \x1b]0;evil\x07 end.") as server:
        server.hold()
        job = submit_long("text\n", server=server.url)
        server.wait_for_event("prefill_started")
        server.process.send_signal(signal.SIGSTOP)  # a prefill as long as the command's start
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
        command = [*ktjob_command, "follow", job.id]
        with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
            os.close(theirs)
            shown = b""
            while b"silence is normal" not in shown:
                shown += os.read(ours, 65536)
            server.process.send_signal(signal.SIGCONT)
            server.let_go()
            shown += _all_of(ours)
            assert process.wait() == 0
    assert b"\x1b]0;evil" not in shown and b"end.\r\n" in shown
    assert shown.index(b"silence is normal") < shown.index(b"plain ") < shown.index(b"succeeded")


def _all_of(terminal: int) -> bytes:
    shown = b""
    while True:
        try:
            got = os.read(terminal, 65536)
        except OSError:  # EIO: the last who had the other end has gone
            got = b""
        if not got:
            os.close(terminal)
            return shown
        shown += got


@pytest.mark.parametrize("command", ["status", "follow"])
def test_looking_needs_no_client_of_the_request(
    tmp_path: Path, ktjob_home: Path, command: str
) -> None:
    """openai takes half a second to import: who only looks does without."""
    with fake_sglang(tmp_path) as server:
        job = Job(submit_long("text\n", server=server.url).id).wait()
    code = (
        "import sys\n"
        "from ktclient.cli.ktjob import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print('openai' in sys.modules, file=sys.stderr)\n"
    )
    argv = [sys.executable, "-c", code, command, job.id]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.endswith("False\n"), done.stderr
