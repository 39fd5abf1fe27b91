"""A server with several models: which one a job gets is decided once, stored and named."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support import batches
from support.commands import Run
from support.served import served

from jobs import clock
from jobs.store.state_dir import StateDir

ANSWER = b'data: {"choices": [{"delta": {"content": "Well."}, "finish_reason": "stop"}]}\n\n'


class Several(ThreadingHTTPServer):
    """Lists its models in another order each time, as Go's maps do, and answers for any."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: list[dict[str, object]] = []
        self.asked: list[object] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def offer(self, *names: str | None) -> None:
        self.models = [{"id": name} for name in names]


class _Handler(BaseHTTPRequestHandler):
    server: Several

    def do_GET(self) -> None:
        models = self.server.models
        models.append(models.pop(0))
        self._say(json.dumps({"object": "list", "data": models}).encode(), "application/json")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(body["model"])
        self._say(ANSWER, "text/event-stream")

    def _say(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> Iterator[Several]:
    with served(Several()) as one:
        monkeypatch.setenv("KTJOB_SERVER", one.url)
        yield one


@pytest.fixture
def story(tmp_path: Path) -> str:
    (tmp_path / "story.txt").write_text("It was a dark and stormy night.\n" * 20)
    return "story.txt"


def model_in(output: str) -> str:
    """The model that `check` or `submit` names."""
    return next(line for line in output.splitlines() if line.startswith("  model ")).split()[1]


@pytest.mark.promise
def test_all_questions_of_a_submit_go_to_the_model_that_it_named(
    run: Run, several: Several, story: str
) -> None:
    """Though the list has another order each time; and a later question about it too."""
    several.offer("text-embedding-small", "alpha", "beta", None, "gamma")
    questions = [word for number in range(4) for word in ("--ask", f"{number}?")]
    asked = run("submit", story, *questions, "--wait", "--json")
    assert asked.returncode == 0, asked.stderr
    named = model_in(asked.stderr)
    assert named in ("alpha", "beta", "gamma")
    assert "--model chooses" in asked.stderr and "text-embedding" not in asked.stderr
    jobs = json.loads(asked.stdout)
    assert several.asked == [named] * 4 and {job["model"] for job in jobs} == {named}
    assert f"({named})" in run("show", jobs[0]["id"]).stdout
    again = run("ask", jobs[0]["id"], "And why?")
    assert run("wait", again.stdout.strip()).returncode == 0
    assert several.asked == [named] * 5


def test_check_names_the_model_and_show_does_before_the_job_begins(
    run: Run, several: Several, story: str
) -> None:
    """Where there is one, and where one is asked for that is not listed."""
    several.offer("alpha")
    assert model_in(run("check", story, "--ask", "Why?").stderr) == "alpha"
    held = run("submit", story, "--ask", "Why?", "--at", "+1h", "--model", "hidden")
    assert model_in(held.stderr) == "hidden" and "--model chooses" not in held.stderr
    assert "(hidden)" in run("show", held.stdout.strip()).stdout


def test_parts_and_lines_of_a_batch_go_to_one_model(
    run: Run, several: Several, tmp_path: Path
) -> None:
    """Each of them is a request of its own."""
    several.models = [{"id": name, "max_model_len": 4096} for name in ("alpha", "beta")]
    (tmp_path / "long.txt").write_text("It was a dark and stormy night.\n" * 1_000)
    split = run("submit", "long.txt", "--summarize", "--max-tokens", "100", "--wait")
    assert split.returncode == 0, split.stderr
    assert len(several.asked) > 2 and set(several.asked) == {model_in(split.stderr)}
    several.asked.clear()
    lines = [batches.request(str(number), f"{number}?") for number in range(5)]
    batches.write(tmp_path / "in.jsonl", lines)
    done = run("batch", "in.jsonl", "-o", "out.jsonl", "--wait")
    assert done.returncode == 0, done.stderr
    assert len(several.asked) == 5 and len(set(several.asked)) == 1


@pytest.mark.promise
def test_a_model_that_is_offered_no_more_is_told_with_what_is(
    run: Run, several: Several, story: str, state: StateDir
) -> None:
    """Nothing is sent to another one, except where the server has only that: it was restarted."""
    several.offer("alpha", "alpha-2")
    job_id = run("submit", story, "--ask", "Why?", "--at", "+1h").stdout.strip()
    several.offer("beta", "gamma")
    with contextlib.closing(sqlite3.connect(state.database)) as database, database:
        database.execute("UPDATE jobs SET not_before = ?", (clock.now(),))
    assert run("wait", job_id).returncode == 1
    job = json.loads(run("show", job_id, "--json").stdout)
    assert job["cause"] == "model_unknown" and several.asked == []
    assert job["model"] in job["message"] and "beta, gamma" in job["message"].replace(
        "gamma, beta", "beta, gamma"
    )
    several.offer("delta")
    again = run("retry", job_id)
    assert run("wait", again.stdout.strip()).returncode == 0, again.stderr
    assert several.asked == ["delta"]
    events = run("show", again.stdout.strip()).stdout
    assert "another model" in events and "delta" in events
