"""Several files in one submit: a job each or one of all, all stored or none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support.commands import Run

from ktclient import errors, submit_files


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in/b.txt").write_text("The second story.")
    (tmp_path / "in/sub/c.txt").write_text("The third story.")
    (tmp_path / "in/x.png").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    (tmp_path / "a.txt").write_text("The first story.")


def test_each_file_is_asked_each_question(run: Run, tmp_path: Path) -> None:
    """A job for each, ids a line each; what was passed over is told."""
    with fake_sglang(tmp_path, "--answer", "Well.") as server:
        questions = ("--ask", "Who?", "--ask", "Where?", "--server", server.url)
        told = run("submit", "a.txt", "in", *questions, "--wait")
        listed = run("submit", "a.txt", "in", *questions, "--json")
        assert len(server.requests()) >= 6
    assert told.returncode == 0
    assert (
        "1. a.txt: Who?\n\nWell.\n\n2. a.txt: Where?\n\nWell.\n\n3. in/b.txt: Who?" in told.stdout
    )
    assert "6. in/sub/c.txt: Where?" in told.stdout
    assert "1 file skipped (not text, or empty): in/x.png" in told.stderr
    records = json.loads(listed.stdout)
    assert [(one["title"], one["questions"]) for one in records] == [
        (title, [question])
        for title in ("a.txt", "in/b.txt", "in/sub/c.txt")
        for question in ("Who?", "Where?")
    ]


def test_each_document_is_sent_with_its_own_text(run: Run, tmp_path: Path) -> None:
    """Summaries too, whose headings name the file."""
    with fake_sglang(tmp_path, "--answer", "Well.") as server:
        told = run("submit", "a.txt", "in", "--server", server.url, "--wait")
        sent = sorted(one["messages"][0]["content"].split("\n")[0] for one in server.requests())
    assert told.stdout.startswith("1. a.txt: summarize\n\nWell.\n")
    assert sent == ["The first story.", "The second story.", "The third story."]


def test_joined_they_are_one_request(run: Run, tmp_path: Path) -> None:
    """With a line for each file."""
    with fake_sglang(tmp_path, "--answer", "Well.") as server:
        told = run("submit", "a.txt", "in", "--join", "--server", server.url, "--wait")
        (request,) = server.requests()
    assert told.stdout == "Well.\n"
    text = request["messages"][0]["content"]
    assert "==> a.txt <==\n\nThe first story.\n\n==> in/b.txt <==\n\nThe second" in text


def test_all_are_stored_or_none(run: Run, tmp_path: Path) -> None:
    """A file that is missing, that does not fit, a URL: exit code, words, and an empty store."""
    (tmp_path / "long.txt").write_text("word " * 200_000)
    with fake_sglang(tmp_path, "--window", "60000") as server:
        options = ("--server", server.url, "--split", "never")
        done = [
            run("submit", "a.txt", last, *options)
            for last in ("gone.txt", "long.txt", "https://example.org/")
        ]
        checked = run("check", "a.txt", "long.txt", *options)
    assert [one.returncode for one in done] == [2, 7, 2]
    assert "file not found: gone.txt" in done[0].stderr
    assert "long.txt: it does not fit" in done[1].stderr
    assert "curl -fsSL URL" in done[2].stderr
    assert not any(one.stdout for one in done)
    assert json.loads(run("status", "--json").stdout) == []
    lines = checked.stdout.splitlines()
    assert checked.returncode == 7 and len(lines) == 2
    assert lines[0].endswith("  a.txt") and lines[1].endswith("  long.txt")


def test_from_python_by_the_same_rules(run: Run, ktjob_home: Path, tmp_path: Path) -> None:
    """Files, folders and patterns; a job for each file and question, or one for all joined."""
    with fake_sglang(tmp_path, "--answer", "Well.") as server:
        paths = [tmp_path / "a.txt", str(tmp_path / "in/*.txt"), str(tmp_path / "in/s*")]
        jobs = submit_files(paths, ask=["Who?", "Where?"], server=server.url, label="all")
        joined = submit_files(paths, join=True, ask="Who?", server=server.url)
        assert [job.result() for job in (*jobs, *joined)] == ["Well."] * 7
    told = [job.status() for job in jobs]
    assert [(one.title, one.questions[0]) for one in told] == [
        (title, question)
        for title in ("a.txt", "b.txt", "sub/c.txt")
        for question in ("Who?", "Where?")
    ]
    for wrong in ([], "a.txt", tmp_path / "a.txt", [tmp_path / "gone"]):
        with pytest.raises(errors.BadInput):
            submit_files(wrong, server=server.url)  # type: ignore[arg-type]
