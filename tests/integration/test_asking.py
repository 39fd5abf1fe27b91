"""`ktjob ask`: another question about a stored document, without the file."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang

from jobs.layout import StateDir
from jobs.store import Store
from ktclient.submit import Job

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(ktjob_command: list[str], ktjob_home: Path) -> Run:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [*ktjob_command, *args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def test_another_question_needs_no_file(run: Run, tmp_path: Path) -> None:
    """Same document, server and limits unless given; by command and from Python."""
    book = tmp_path / "book.txt"
    book.write_text("It was a dark and stormy night. " * 50)
    with fake_sglang(tmp_path, "--answer", "A storm.") as server:
        options = ("--max-tokens", "77", "--priority", "3")
        submitted = run("submit", str(book), "--server", server.url, *options)
        first = submitted.stdout.strip()
        assert submitted.returncode == 0, submitted.stderr
        assert run("wait", first).returncode == 0
        book.unlink()
        asked = run("ask", first, "What weather?", "--timeout", "99", "--wait", "--json")
        assert asked.returncode == 0, asked.stderr
        second = json.loads(asked.stdout)
        third = Job(first).ask("And who?").wait()
        assert second["text"] == third.result() == "A storm."
        assert (second["max_tokens"], second["timeout"], second["task"]) == (77, 99, "ask")
        assert len(server.requests()) == 3
    with Store.open(StateDir(Path(os.environ["KTJOB_HOME"]))) as store:
        jobs = [store.job(one) for one in (first, second["id"], third.id)]
        assert len({job.document for job in jobs}) == 1
        assert [job.priority for job in jobs] == [3, 3, 3]
        assert "What weather?" in jobs[1].spec


def test_what_cannot_be_asked_is_refused(run: Run, tmp_path: Path) -> None:
    """An unknown job, and no question; nothing is stored."""
    book = tmp_path / "book.txt"
    book.write_text("It was a dark and stormy night.")
    with fake_sglang(tmp_path) as server:
        first = run("submit", str(book), "--server", server.url).stdout.strip()
        unknown = run("ask", "nosuchjob", "Why?")
        assert unknown.returncode == 3 and "no job" in unknown.stderr
        for wrong in (("ask", first, " "), ("ask", first, "Why?", "--max-tokens", "0")):
            refused = run(*wrong)
            assert refused.returncode == 2 and not refused.stdout, refused
        run("wait", first)
    assert len(json.loads(run("status", "--json").stdout)) == 1
