"""The same from Python."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang

from jobs import errors as jobs_errors
from ktclient import Job, errors, submit_long


@pytest.fixture
def server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ktjob_home: Path
) -> Iterator[FakeServer]:
    options = ("--answer", "one two three four", "--token-seconds", "0.05")
    with fake_sglang(tmp_path, *options) as server:
        monkeypatch.setenv("KTJOB_SERVER", server.url)
        yield server


def test_submit_wait_and_result(server: FakeServer) -> None:
    """The three calls that most people need."""
    job = submit_long("A long text.\nWith two lines.", summarize=True)
    assert job.wait() is job
    assert job.result() == "one two three four"
    assert job.status().state == "SUCCEEDED"
    assert Job(job.id[:6]).result() == "one two three four"


def test_the_document_comes_first_and_the_instruction_last(server: FakeServer) -> None:
    """In the document's own language."""
    submit_long("石头记第一回。", summarize=True).wait()
    submit_long("Call me Ishmael.\n", ask="Who?").wait()
    sent = [body["messages"][0]["content"] for body in server.requests()]
    assert sent[0] == "石头记第一回。\n\n请总结上文。"
    assert sent[1] == "Call me Ishmael.\n\n\nAnswer from the text above: Who?"


def test_a_stream_is_the_whole_answer_from_its_beginning(server: FakeServer) -> None:
    """Also for a reader who comes late."""
    job = submit_long("text\n", prompt="Count.")
    assert "".join(job.stream()) == "one two three four"
    assert "".join(Job(job.id).stream()) == "one two three four"


def test_a_file_is_given_as_a_path(server: FakeServer, tmp_path: Path) -> None:
    """A string is the text itself; the name of a file by mistake is told."""
    path = tmp_path / "a.txt"
    path.write_text("from the file")
    submit_long(path, prompt="Go.").wait()
    assert server.requests()[0]["messages"][0]["content"] == "from the file\n\nGo."
    with pytest.raises(errors.BadInput, match="name of a file"):
        submit_long(str(path))


def test_failures_raise_and_keep_the_text(
    tmp_path: Path, ktjob_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leaf for each reaction."""
    with fake_sglang(tmp_path, "--fault", "cut_midway,cut_midway", "--answer", "a b c d") as server:
        monkeypatch.setenv("KTJOB_SERVER", server.url)
        job = submit_long("text\n")
        with pytest.raises(errors.JobFailed) as failed:
            job.result()
        assert failed.value.partial_text.startswith("a")
    with pytest.raises(errors.ServerUnreachable):
        submit_long("text\n")
    with pytest.raises(jobs_errors.NoSuchJob):
        Job("zzz")


def test_waiting_has_an_end_and_cancel_is_one(
    tmp_path: Path, ktjob_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NotFinished leaves the job alone; cancel ends it."""
    with fake_sglang(tmp_path, "--prefill-seconds", "600") as server:
        monkeypatch.setenv("KTJOB_SERVER", server.url)
        job = submit_long("text\n", timeout=7200)
        server.wait_for_event("prefill_started")
        with pytest.raises(errors.NotFinished):
            job.wait(0.1)
        assert job.status().state == "RUNNING"
        job.cancel()
        with pytest.raises(errors.JobCancelled):
            job.result()
        assert server.events("abort"), "the server was asked by rid"


def test_what_has_arrived_is_on_disk_while_the_rest_is_being_written(
    tmp_path: Path, ktjob_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker killed in the middle loses no more than a moment's text."""
    options = ("--answer", "word " * 2_000, "--token-seconds", "0.1")
    with fake_sglang(tmp_path, *options) as server:
        monkeypatch.setenv("KTJOB_SERVER", server.url)
        job = submit_long("text\n")
        first = next(iter(job.stream()))
        assert first.startswith("word")
        assert job.status().state == "RUNNING" and not server.events("answered")
        job.cancel()
        with pytest.raises(errors.JobCancelled) as cancelled:
            job.result()
        assert cancelled.value.partial_text.startswith(first)


def test_handing_over_needs_no_client_of_the_request(tmp_path: Path, ktjob_home: Path) -> None:
    """openai takes half a second to import; the runner has it, submit does without."""
    code = (
        "import sys\n"
        "from ktclient import submit_long\n"
        "submit_long(sys.argv[1], server=sys.argv[2])\n"
        "assert 'openai' not in sys.modules\n"
    )
    with fake_sglang(tmp_path) as server:
        command = [sys.executable, "-c", code, "a word of it. " * 5_000, server.url]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
