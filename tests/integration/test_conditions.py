"""Jobs that wait: for a time, for other jobs; with a label, by real processes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer
from support.commands import Run

from jobs import clock
from jobs.model import Job as Row
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, submit_long, submit_questions
from ktclient.cli.jobs.submit import submit as submit_command

Until = Callable[..., object]


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A story.")


def row(state: StateDir, job_id: str) -> Row:
    with Store.open(state) as store:
        return store.job(job_id)


@pytest.mark.promise
def test_a_job_starts_at_its_time_by_itself(
    run: Run, server: FakeServer, state: StateDir, until: Until
) -> None:
    """Not before, and nobody has to type a command; what it waits for is said."""
    told = run("submit", "a.txt", "--at", "+3s", "--label", "nightly")
    assert told.returncode == 0, told.stderr
    waiting = told.stdout.strip()
    assert "starts     not before 20" in told.stderr
    until(lambda: row(state, waiting).finished_at is not None)
    found = row(state, waiting)
    assert (found.state, found.label) == ("SUCCEEDED", "nightly")
    assert found.not_before is not None and found.started_at is not None
    assert found.not_before <= found.started_at


def test_a_runner_that_was_killed_while_a_job_waits(
    server: FakeServer, state: StateDir, until: Until, kill_runner: Callable[[], int]
) -> None:
    """The next command's runner starts it when its time has come."""
    job = submit_long("A story.", at=datetime.now(timezone.utc) + timedelta(hours=1))
    kill_runner()
    until(lambda: not start.is_runner_alive(state))
    assert job.status().state == "QUEUED" and row(state, job.id).not_before  # starts another
    with contextlib.closing(sqlite3.connect(state.database)) as database, database:
        database.execute("UPDATE jobs SET not_before = ?", (clock.now(),))
    until(lambda: row(state, job.id).finished_at is not None)
    assert row(state, job.id).state == "SUCCEEDED"


def test_a_job_starts_after_others(run: Run, server: FakeServer, state: StateDir) -> None:
    """After all of them, by the starts of their ids; from the command line and from Python."""
    first, second = submit_questions("A story.", ["Who?", "Where?"], at="+2s")
    told = run("submit", "a.txt", "--after", first.id[:7], "--after", second.id)
    assert told.returncode == 0, told.stderr
    assert f"starts     after {first.id[:7]}, {second.id} succeeded" in told.stderr
    third = Job(told.stdout.strip())
    fourth = submit_long("A story.", after=[third, first.id])
    assert fourth.wait().status().state == "SUCCEEDED"
    rows = [row(state, job.id) for job in (first, second, third, fourth)]
    ended = [one.finished_at or "" for one in rows]
    started = [one.started_at or "" for one in rows]
    assert max(ended[:2]) <= started[2] and ended[2] <= started[3]
    with Store.open(state) as store:
        assert store.needs(third.id) == sorted((first.id, second.id))


@pytest.mark.promise
def test_what_cannot_come_is_told_at_once_or_when_it_is_known(
    run: Run, server: FakeServer, state: StateDir
) -> None:
    """One that has failed is refused with its reason, and nothing stored; one that fails later
    takes those after it along, each with the cause. Nobody waits behind those that wait."""
    doomed = submit_long("A story.", at="+1h")
    assert submit_long("Another story.").wait().status().state == "SUCCEEDED"
    second = submit_long("A story.", after=[doomed])
    third = submit_long("A story.", after=[second])
    doomed.cancel()
    end = third.wait().status()
    assert (end.state, end.cause) == ("FAILED", "prerequisite_failed")
    assert end.message is not None and second.id in end.message
    refused = run("submit", "a.txt", "--after", doomed.id)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"job {doomed.id}" in refused.stderr and "CANCELLED" in refused.stderr
    assert run("submit", "a.txt", "--after", "nosuch").returncode == 3
    with Store.open(state) as store:
        assert len(store.newest(10)) == 4
    assert len(server.requests()) == 1


def test_what_makes_no_sense_is_refused(run: Run) -> None:
    """Exit code 2, nothing stored, and no server asked."""
    for name, value in (("at", "2020-01-01"), ("at", "soon"), ("label", "two\nlines")):
        refused = run("submit", "a.txt", f"--{name}", value)
        assert (refused.returncode, refused.stdout) == (2, ""), refused.stderr
        with pytest.raises(errors.BadInput):
            submit_long("A story.", **{name: value})  # type: ignore[arg-type]
    assert json.loads(run("status", "--json").stdout) == []


ALL_OPTIONS = {
    "ask": "Who?",
    "max_tokens": "77",
    "system": "Be brief.",
    "temperature": "0.5",
    "thinking": "on",
    "effort": "high",
    "schema": "schema.json",
    "model": "kt",
    "timeout": "99",
    "max_attempts": "4",
    "split": "never",
    "priority": "5",
    "label": "nightly",
    "at": "+1h",
    "on_done": "true",
}
"""Of `ktjob submit`: everything that describes the job, except `--after`, which has a job's id."""
NOT_OF_THE_JOB = {
    *("files", "server", "after", "notify", "help", "key", "wait", "quiet", "as_json", "follow"),
    *("join", "summarize", "together", "prompt", "template", "var", "encoding", "raw"),
}
"""What is for the command only, is another way to say the same, or has become text by then."""


@pytest.mark.promise
def test_a_retry_has_every_option_of_its_submit(
    run: Run, server: FakeServer, state: StateDir, tmp_path: Path
) -> None:
    """With a start time still to come and a prerequisite that has not succeeded yet."""
    names = {str(param.name) for param in submit_command.params}
    assert names <= ALL_OPTIONS.keys() | NOT_OF_THE_JOB, "a new option: does a retry keep it?"
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    first = submit_long("A story.", at="+2h")
    words = [
        w for name, value in ALL_OPTIONS.items() for w in (f"--{name.replace('_', '-')}", value)
    ]
    told = run("submit", "a.txt", *words, "--after", first.id)
    assert told.returncode == 0, told.stderr
    old = told.stdout.strip()
    run("cancel", old)
    new = run("retry", old).stdout.strip()
    assert new and new != old
    assert _as_submitted(state, new) == _as_submitted(state, old)
    assert row(state, new).not_before and row(state, new).label == "nightly"
    shown = json.loads(run("show", new, "--json").stdout)
    assert shown["needs"] == [first.id]
    first.cancel()
    run("cancel", new)
    refused = run("retry", new)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"ktjob retry {first.id}" in refused.stderr
    again = run("retry", first.id).stdout.strip()
    with Store.open(state) as store:
        assert store.needs(run("retry", new).stdout.strip()) == [again]
    assert server.requests() == []


def _as_submitted(state: StateDir, job_id: str) -> dict[str, object]:
    """All of a job's row that its submit decides, its prerequisites and its notifications."""
    own = {"id", "seq", "submit_key", "status", "outcome", "cause", "message", "attempt"}
    own |= {"cancel_requested_at", "created_at", "started_at", "finished_at"}
    with Store.open(state) as store:
        found = {
            field.name: getattr(store.job(job_id), field.name)
            for field in dataclasses.fields(Row)
            if field.name not in own
        }
        return {**found, "needs": store.needs(job_id), "tellings": store.tellings(job_id)}
