"""System prompt, temperature and thinking on their way to the server, and in the count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer
from support.commands import Run

from ktclient import submit_long


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A story.")


FULL = ("--system", "You are terse.", "--temperature", "0.3", "--thinking", "on")


def test_they_arrive_and_are_kept_for_another_question(run: Run, server: FakeServer) -> None:
    """The system prompt first; without options the request is as it always was."""
    job_id = run("submit", "a.txt", *FULL, "--ask", "Who?").stdout.strip()
    assert run("wait", job_id).returncode == 0
    assert run("ask", job_id, "Where?", "--wait").returncode == 0
    assert run("submit", "a.txt", "--wait").returncode == 0
    first, again, plain = server.requests()
    for request in (first, again):
        assert [one["role"] for one in request["messages"]] == ["system", "user"]
        assert request["messages"][0]["content"] == "You are terse."
        assert request["temperature"] == 0.3
        assert request["chat_template_kwargs"] == {
            "thinking": True,
            "enable_thinking": True,
            "reasoning_effort": "high",
        }
    assert [one["role"] for one in plain["messages"]] == ["user"]
    assert "temperature" not in plain and plain["chat_template_kwargs"] == {"thinking": False}


def test_the_system_prompt_counts(run: Run, server: FakeServer) -> None:
    """In tokens, and against the window."""
    alone = json.loads(run("check", "a.txt", "--json").stdout)
    long = json.loads(run("check", "a.txt", "--json", "--system", "word " * 10_000).stdout)
    assert long["tokens"] - alone["tokens"] > 8_000
    assert not long["exact"]


@pytest.mark.parametrize(
    "options", [("--temperature", "3"), ("--thinking", "maybe"), ("--system", " ")]
)
def test_what_makes_no_sense_is_refused(
    run: Run, server: FakeServer, options: tuple[str, str]
) -> None:
    """Exit code 2, nothing stored."""
    refused = run("submit", "a.txt", *options)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert json.loads(run("status", "--json").stdout) == []


def test_from_python(ktjob_home: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same by name."""
    monkeypatch.setenv("KTJOB_HOME", str(ktjob_home))
    job = submit_long("A story.", system="Be terse.", temperature=0.0, thinking=False)
    assert job.result() == "Well."
    (request,) = server.requests()
    assert request["messages"][0] == {"role": "system", "content": "Be terse."}
    assert request["temperature"] == 0.0
    assert request["chat_template_kwargs"] == {"thinking": False, "enable_thinking": False}


@pytest.mark.parametrize(
    "words",
    [
        ("submit", "a.txt", "--priority", "9" * 23),
        ("submit", "a.txt", "--priority", "-" + "9" * 23),
        ("submit", "a.txt", "--max-attempts", "9" * 23),
        ("submit", "a.txt", "--max-tokens", "9" * 23),
        ("list", "-n", "9" * 23),
    ],
)
def test_numbers_that_no_database_holds_are_refused(
    run: Run, server: FakeServer, words: tuple[str, ...]
) -> None:
    """One line, exit code 2, and nothing is stored."""
    done = run(*words)
    assert done.returncode == 2 and "9" * 23 in done.stderr
    assert json.loads(run("list", "--json").stdout) == []
