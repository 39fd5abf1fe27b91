"""`ktjob show`: attempts, events, figures, cause and next step, in words and in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from conformance.shapes.sending import sending
from fake_sglang.process import fake_sglang
from support.commands import Run

from jobs.model import Capacity, Identity, NewJob, Outcome
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import submit_long
from ktclient.cli.ktjob import ktjob
from ktclient.cli.ktserver import ktserver
from ktclient.prompts.tasks import task
from ktclient.records import next_steps
from ktclient.submission.spec import JobSpec


def test_all_of_a_failed_job(run: Run, tmp_path: Path) -> None:
    """Each attempt with its own end; the cause; what had arrived; the question asked once more."""
    options = ("--fault", "cut_midway,cut_midway", "--answer", "one two three four")
    with fake_sglang(tmp_path, *options) as server:
        job = submit_long("text\n", ask="Who's there?", server=server.url, priority=7).wait()
    told = json.loads(run("show", job.id[:6], "--json").stdout)
    plain = json.loads(json.dumps(job.status().to_dict()))
    assert {name: told[name] for name in plain} == plain
    assert (told["schema"], told["state"], told["cause"]) == (1, "FAILED", "stream_cut")
    assert told["instruction"].endswith("Who's there?") and told["priority"] == 7
    assert [attempt["number"] for attempt in told["attempts"]] == [1, 2]
    assert [attempt["outcome"] for attempt in told["attempts"]] == ["LOST", "FAILED"]
    assert [attempt["cause"] for attempt in told["attempts"]] == ["stream_cut"] * 2
    rids = [event["rid"] for event in server.events("request")]
    assert [attempt["rid"] for attempt in told["attempts"]] == rids
    kinds = [event["kind"] for event in told["events"]]
    assert kinds[0] == "submitted" and kinds[-1] == "finished" and "queued again" in kinds
    assert [step["command"] for step in told["next"]] == [
        "ktserver explain LOGFILE",  # ktserver did not start this one
        f"ktjob result {job.id}",
        f"ktjob retry {job.id}",
    ]
    words = run("show", job.id).stdout
    for said in (
        "state      FAILED",
        "before the answer was complete",
        "attempt    2  ",
        "question   Who's there?",
        "queued for a new attempt (",
        "worker started (",
        "server type sglang",
        f"server     {job.status().server} (",
        f"next       ktjob result {job.id}",
    ):
        assert said in words, words


def test_figures_and_the_next_step_of_a_job_that_went_well(run: Run, tmp_path: Path) -> None:
    """What the server counted; and a longer answer, where this one was cut off."""
    with fake_sglang(tmp_path, "--answer", "word " * 50) as server:
        job = submit_long("text\n", ask="How many?", server=server.url, max_tokens=20).wait()
    told = json.loads(run("show", job.id, "--json").stdout)
    (attempt,) = told["attempts"]
    assert attempt["figures"]["completion_tokens"] == 20 and attempt["ended_at"]
    assert told["characters"] == len(job.result())
    commands = [f"ktjob result {job.id}", f"ktjob ask {job.id} 'How many?' --max-tokens 40"]
    assert [step["command"] for step in told["next"]] == commands
    words = run("show", job.id).stdout
    assert "completion tokens 20" in words and "ktjob result" in words.splitlines()[-2]


def test_a_job_that_waits_is_shown_too(run: Run, tmp_path: Path) -> None:
    """No attempt yet; and an unknown one is 3."""
    with fake_sglang(tmp_path, "--prefill-seconds", "600") as server:
        first = submit_long("text\n", server=server.url)
        server.wait_for_event("prefill_started")
        running = run("show", first.id)
        first.cancel()
        first.wait()
    assert 'running in phase "' in running.stdout and f"ktjob follow {first.id}" in running.stdout
    assert run("show", "zzz").returncode == 3


@pytest.mark.parametrize("cause", [*next_steps.BY_CAUSE, "bug", "deadline_exceeded", None])
@pytest.mark.parametrize("is_own", [True, False])
def test_whatever_is_to_be_typed_next_can_be_typed(
    state: StateDir, cause: str | None, is_own: bool
) -> None:
    """Every command named is one of ours, with options that it has."""
    from ktclient.records import snapshot

    spec = JobSpec(task(False, "Who?", None), "http://127.0.0.1:9", None, 100, 60.0).to_json()
    with Store.open(state) as store:
        job = store.submit(NewJob("pool", spec, b"text", "title"), Capacity(slots=1))
        store.claim(job.id, Identity("boot", 1, 1))
        store.finish(job.id, 1, Outcome.FAILED, cause, "it failed")
        now = snapshot.of_job(store, store.job(job.id))
    steps = next_steps.steps(now, has_text=True, is_own_server=is_own)
    assert is_own or "ktserver explain --last" not in [step.command for step in steps]
    assert len(steps) == 3
    for step in steps:
        program, name, *rest = step.command.split()
        command = {"ktjob": ktjob, "ktserver": ktserver}[program].commands[name]
        if isinstance(command, click.Group):
            command = command.commands[rest[0]]
        options = {
            option
            for parameter in command.params
            if isinstance(parameter, click.Option)
            for option in parameter.opts
        }
        assert {word for word in rest if word.startswith("--")} <= options, step


def test_what_the_server_sent_is_shown(run: Run, state: StateDir) -> None:
    """In full and on its own lines in `show`, its end on one line in `logs`; nothing that steers a
    terminal, and no key."""
    said = 'data: {"choices": [{"delta": {"content": "One."}}]}\n\ndata: {"bro\x1b[31mken\n\n'
    key = "sk-abcdefghijklmnop123456"
    with sending({"body": f": {key}\n\n{said}"}) as (url, _):
        job = submit_long("text\n", server=url).wait()
    shown = run("show", job.id).stdout
    block = shown.partition("\nreceived   ")[2]
    assert f"{len(said) + len(key) + 4} bytes; the last of them:\n  : ***\n  data: {{" in block
    assert 'data: {"bro\ufffd[31mken\n' in block and key not in shown and "\x1b" not in shown
    logs = run("logs", job.id).stdout
    assert "the server sent" in logs and "ken" in logs and key not in logs
    events = json.loads(run("show", job.id, "--json").stdout)["events"]
    data = next(one["data"] for one in events if one["kind"] == "last bytes received")
    assert data["bytes"] == len(said) + len(key) + 4 and data["text"].endswith(said)
