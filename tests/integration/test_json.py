"""What `--json` prints is what `ktjob schema` says, of every command; and `ktjob open`."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
from fake_sglang.process import fake_sglang
from support import commands
from support.output_schema import SCHEMA, strict

from jobs.store.state_dir import StateDir
from ktclient.cli.ktjob import ktjob as group
from ktclient.prompts.tasks import Kind
from ktclient.records.snapshot import Snapshot

ANSWER = "It rained, and nobody came."
Run = Callable[..., Any]


@pytest.fixture
def run(ktjob_command: list[str], ktjob_home: Path, tmp_path: Path) -> Run:
    """A command's JSON, which must be what the schema says of `name`."""

    def run(name: str, *args: str, codes: tuple[int, ...] = (0,)) -> Any:
        command = [*ktjob_command, *args, *([] if name == "events" else ["--json"])]
        done = commands.ran(command, tmp_path)
        assert done.returncode in codes, done.stderr
        lines = done.stdout.splitlines() if name == "events" else [done.stdout]
        told = [json.loads(line) for line in lines]
        for one in told[0] if isinstance(told[0], list) else told:
            strict(name).validate(one)
        return told[0]

    return run


@pytest.mark.promise
@pytest.mark.long
def test_every_command_prints_what_the_schema_says(
    run: Run, tmp_path: Path, ktjob_command: list[str]
) -> None:
    """All of its fields documented, none of the documented ones missing."""
    (tmp_path / "a.txt").write_text("It was a dark and stormy night. " * 20)
    (tmp_path / "b.txt").write_text("It was a bright day. " * 20)
    with fake_sglang(
        tmp_path, "--answer", ANSWER, "--fault", "none,none,none,http_400_flat"
    ) as server:
        where = ("--server", server.url)
        assert len(run("check", "check", "a.txt", "b.txt", *where)) == 2
        asked = ("--ask", "Rain?", "--ask", "Who?", "--together", "--label", "nightly")
        both = run("result", "submit", "a.txt", *asked, "--wait", *where)
        assert [one["answer"] for one in both["answers"]] == [ANSWER, ANSWER]
        first = both["id"]
        second = run("job", "ask", first, "Why?")["id"]
        assert run("job", "wait", second)["state"] == "SUCCEEDED"
        body = {"model": "m", "messages": [{"role": "user", "content": "Why?"}]}
        line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
        (tmp_path / "in.jsonl").write_text(json.dumps(line) + "\n")
        run("job", "batch", "in.jsonl", "-o", "out.jsonl", "--wait", *where, codes=(0, 1))
        failed = run("result", "submit", "b.txt", "--wait", *where, codes=(1,))
    assert failed["state"] == "FAILED"
    assert len(run("job", "status")) == 4
    assert run("job", "status", first)["label"] == "nightly"
    found, _ = run("list", "list", "--search", "nobody rained", "--label", "night*")
    assert found["found"]["where"] == "answer"
    text = run("result", "result", first)["text"]
    assert ANSWER in text
    assert len(run("show", "show", first)["attempts"]) == 1
    assert run("events", "events")["kind"] == "submitted"
    assert run("logs", "logs", failed["id"])["id"] == failed["id"]
    assert run("job", "cancel", first)["state"] == "SUCCEEDED"
    assert run("doctor", "doctor", codes=(0, 1))[0]["about"]
    assert run("doctor", "config", "check")[0]["about"] == "file"
    assert run("setting", "config", "show")[0]["name"] == "server.url"
    assert run("paths", "paths")["state"] and "log" not in run("paths", "paths", "database")
    again = run("job", "retry", failed["id"])["id"]
    run("job", "cancel", again)
    paths = run("open", "open", first)
    assert Path(paths["answer"]).read_text() == text and Path(paths["log"]).exists()
    assert len(run("templates", "templates")) >= 3
    assert run("templates", "templates", "minutes")["built_in"] is True
    assert run("gateways", "serve", "--status", codes=(6,))["gateways"] == []
    assert run("removed", "gc", "--older-than", "9d")["removed"] == []
    with (tmp_path / "all.jsonl").open("w") as lines:
        command = [*ktjob_command, "export", "--all", "--format", "jsonl"]
        subprocess.run(command, stdout=lines, check=True)
    for line in (tmp_path / "all.jsonl").read_text().splitlines():
        strict("exported").validate(json.loads(line))
    assert len(run("imported", "import", "all.jsonl")["present"]) == 5
    assert run("removed", "rm", first, second)["removed"] == [first, second]
    assert not Path(paths["answer"]).exists() and not Path(paths["document"]).exists()


def test_what_changes_the_queue_prints_what_the_schema_says(run: Run, tmp_path: Path) -> None:
    """Each object of it, also where some are refused."""
    with fake_sglang(tmp_path, "--answer", ANSWER) as server:
        (tmp_path / "a.txt").write_text("It was a dark and stormy night. ")
        first = run("result", "submit", "a.txt", "--server", server.url, "--wait")["id"]
        delayed = run("job", "rerun", first, "--at", "+1d")["id"]
    both = run("job", "hold", delayed, first, codes=(1,))
    assert [one["blocked_by"] for one in both] == ["held", None]
    assert run("job", "priority", delayed, "--to", "3")["priority"] == 3
    assert run("job", "release", delayed)["held_at"] is None
    assert run("job", "edit", delayed, "--label", "x")["label"] == "x"
    assert run("paused", "pause")["paused"][0]["server"] is None
    assert run("paused", "resume")["paused"] == []
    assert isinstance(run("servers", "servers", codes=(0, 6))["servers"], list)
    assert isinstance(run("models", "models", codes=(0, 6))["models"], list)


def test_every_command_with_json_is_in_the_test_above() -> None:
    """Or here, with the reason."""
    source = Path(__file__).read_text()
    for name, command in group.commands.items():
        options = {option for one in command.params for option in one.opts}
        if "--json" in options and isinstance(command, click.Command):
            assert f', "{name}"' in source, name


def test_the_schema_is_one_and_has_all_fields_of_a_job(ktjob_command: list[str]) -> None:
    """Printed by `ktjob schema`; a field added to a job is to be added to it."""
    done = subprocess.run([*ktjob_command, "schema"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    kinds = SCHEMA["$defs"]["job"]["properties"]["task"]["enum"]
    assert kinds == [kind.value for kind in Kind]
    names = {field.name for field in fields(Snapshot)}
    assert set(SCHEMA["$defs"]["job"]["properties"]) == {"schema", *names}


def test_the_strict_schema_refuses_what_it_does_not_know() -> None:
    """Else the test above could not fail."""
    good = {"schema": 1, "removed": ["k"], "dry_run": False}
    strict("removed").validate(good)
    for bad in ({**good, "more": 1}, {**good, "schema": 2}, {"schema": 1, "removed": []}):
        with pytest.raises(jsonschema.ValidationError):
            strict("removed").validate(bad)
    with pytest.raises(jsonschema.ValidationError):
        strict("list").validate({"schema": 1})


def test_open_prints_paths_in_a_pipe_and_pages_on_a_terminal(
    ktjob_command: list[str], tmp_path: Path, state: StateDir
) -> None:
    """Copies are their owner's alone; there is nothing to open before a word has come."""
    from ktclient import submit_long

    with fake_sglang(tmp_path, "--answer", "the end \x1b]0;evil\x07.") as server:
        job = submit_long("once\n", ask="How?", server=server.url).wait()
        later = submit_long("once\n", server=server.url, at="+1d")
    nothing = subprocess.run(
        [*ktjob_command, "open", later.id], capture_output=True, text=True, check=False
    )
    assert (nothing.returncode, nothing.stdout) == (5, "") and "nothing yet" in nothing.stderr

    def piped(*args: str) -> str:
        command = [*ktjob_command, "open", job.id, *args]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    answer = Path(piped())
    assert answer.read_text() == "the end \x1b]0;evil\x07." and answer.parent == state.opened
    assert stat.S_IMODE(answer.stat().st_mode) == 0o600
    assert Path(piped("document")).read_text() == "once\n"
    assert piped("log") == str(state.job_log(job.id)) and piped("folder") == str(state.root)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PAGER": "cat", "TERM": "xterm"}
    command = [sys.executable, "-m", "ktclient", "open", job.id]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # EIO: it has ended
                break
        assert process.wait() == 0
    os.close(ours)
    assert b"the end" in shown and b"\x1b]0;" not in shown
