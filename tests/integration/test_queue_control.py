"""Pause and resume, hold and release, priority, edit and rerun: with a real runner and its workers,
against the scripted server. Who comes first in one transaction is in tests/unit/jobs/store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.commands import Run

from jobs.errors import IllegalTransition
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, pause_queue, resume_queue, select, submit_long
from ktclient.records import phases

Until = Callable[..., object]


def asked(server: FakeServer) -> list[str]:
    """The question of each request that the server got, in order."""
    return [body["messages"][-1]["content"].rpartition(": ")[2] for body in server.requests()]


@pytest.mark.promise
def test_a_paused_queue_says_so_everywhere_and_what_was_sent_continues(
    run: Run,
    server: FakeServer,
    state: StateDir,
    tmp_path: Path,
    until: Until,
    kill_runner: Callable[[], int],
) -> None:
    """Also where the runner is killed meanwhile: the pause is in the store, not in a process."""
    server.hold()
    running = submit_long("It rained.", ask="First?")
    until(lambda: running.status().phase in (phases.WAITING, phases.PREFILL))
    paused = run("pause")
    assert paused.returncode == 0 and "ktjob resume" in paused.stderr
    assert f"continues  {running.id}" in paused.stderr
    (tmp_path / "b.txt").write_text("It snowed.")
    submitted = run("submit", "b.txt", "--ask", "Second?")
    waiting = Job(submitted.stdout.strip())
    assert "the queue is paused" in submitted.stderr and "ktjob resume" in submitted.stderr
    status = run("status")
    assert "paused" in status.stdout and "ktjob resume" in status.stderr
    waited = run("wait", waiting.id, "--timeout", "0.1")
    assert waited.returncode == 5 and waited.stderr.count("the queue is paused") == 2
    (told,) = json.loads(run("pause", "--status", "--json").stdout)["paused"]
    assert told["server"] is None
    kill_runner()
    until(lambda: not start.is_runner_alive(state))
    server.let_go()
    assert running.result() == "Well."  # and the look for its end starts the next runner
    until(lambda: start.is_runner_alive(state))
    now = waiting.status()
    assert (now.state, now.blocked_by, now.attempt) == ("QUEUED", "queue", 0)
    resumed = run("resume")
    assert resumed.returncode == 0 and "is resumed" in resumed.stderr
    assert waiting.result() == "Well." and asked(server) == ["First?", "Second?"]
    with Store.open(state) as store:
        kinds = [event.kind for event in store.events(waiting.id)]
    assert kinds[:4] == ["submitted", "paused", "resumed", "claimed"]


@pytest.mark.promise
def test_a_job_that_waits_for_its_server_sends_nothing_while_that_is_paused(
    run: Run, tmp_path: Path, state: StateDir, until: Until
) -> None:
    """It was claimed before the pause: the server that comes back during the pause gets nothing
    before its end. Only that server is paused."""
    with fake_sglang(tmp_path, "--answer", "Well.") as server:
        url, port = server.url, str(server.port)
        pause_queue(url)
        job = submit_long("It rained.", ask="Why?", server=url)
        assert job.status().blocked_by == "server"
    assert resume_queue(url) == []
    until(lambda: job.status().phase == phases.WAITING_FOR_SERVER)
    paused = run("pause", "--server", url)
    assert f"sends nothing before the end of the pause: {job.id}" in paused.stderr
    with fake_sglang(tmp_path, "--answer", "Well.", "--port", port) as server:
        until(lambda: job.status().phase == phases.PAUSED)
        shown = run("show", job.id).stdout
        assert f"the server {url} is paused" in shown
        assert server.requests() == []
        assert run("resume").stderr.startswith("the queue was not paused")
        assert run("resume", "--all", "--json").stdout.strip().endswith('"paused": []}')
        assert job.result() == "Well." and asked(server) == ["Why?"]
    assert run("pause", "--server", "nosuchname").returncode == 2


def test_held_jobs_are_passed_and_the_first_is_first(
    run: Run, server: FakeServer, state: StateDir, until: Until
) -> None:
    """What runs is refused with the reason, and does not keep the others from being held."""
    server.hold()
    running = submit_long("It rained.", ask="Running?")
    until(lambda: running.status().phase in (phases.WAITING, phases.PREFILL))
    pause_queue()
    held, late, early = (
        submit_long("It rained.", ask=f"{name}?") for name in ("Held", "Late", "Early")
    )
    done = run("hold", held.id, running.id)
    assert done.returncode == 1
    assert f"job {held.id} is held" in done.stderr and "never paid twice" in done.stderr
    with pytest.raises(IllegalTransition, match="is running"):
        running.prioritize(5)
    assert run("priority", early.id, "--first", "--json").returncode == 0
    assert late.prioritize(-1).priority == -1
    assert run("priority", early.id).returncode == 2
    assert select(states="queued").hold() == {}
    every = run("release", "--all")
    assert every.returncode == 0 and every.stderr.count("is released") == 3
    assert run("hold", "@last-2").returncode == 0 and held.status().held_at
    assert list(select(held.id, running.id).prioritize(0)) == [running.id]
    resume_queue()
    server.let_go()
    assert early.result() == late.result() == "Well."
    now = held.status()
    assert now.blocked_by == "held" and f"ktjob release {held.id}" in str(now.blocked)
    released = run("resume", held.id)
    assert released.returncode == 0 and "is released" in released.stderr
    assert held.result() == "Well."
    with Store.open(state) as store:
        stored = [store.job(job.id) for job in (early, late, held)]
    assert [job.priority for job in stored] == [1, -1, 0]
    assert all((one.started_at or "") <= (stored[2].started_at or "") for one in stored)
    with pytest.raises(IllegalTransition, match="has ended"):
        held.hold()


def test_a_split_document_is_held_while_it_runs(
    run: Run, server: FakeServer, state: StateDir, until: Until
) -> None:
    """The parts that run continue, the others wait and it says so; after the release all are read,
    each once. A paused queue is said by it in the same way."""
    text = "".join(f"Chapter {number}\n\n{'It rained. ' * 600}\n\n" for number in range(6))
    server.hold()
    job = submit_long(text, ask="Why?", split=2_000, max_tokens=50)
    with Store.open(state) as store:
        until(lambda: store.tally(job.id).running)
        assert job.hold().blocked_by == "held"
        server.let_go()
        until(lambda: not store.tally(job.id).running)
        held = store.tally(job.id)
        assert held.queued and held.succeeded and not held.failed
        assert job.status().state == "RUNNING"
        assert f"ktjob release {job.id}" in run("status", job.id).stdout
        pause_queue()
        job.release()
        assert store.tally(job.id).queued == held.queued
        until(lambda: "queue is paused" in str(job.status().figures.get("last_refusal")))
        assert "a request waits: the queue is paused" in run("show", job.id).stdout
        resume_queue()
        assert job.result() == "Well."
        asked_once = {json.dumps(body["messages"]) for body in server.requests()}
        assert len(asked_once) == len(server.requests()) == store.tally(job.id).total


@pytest.mark.promise
def test_an_edit_holds_for_the_request_that_is_sent_or_is_refused(
    run: Run, server: FakeServer, state: StateDir, until: Until
) -> None:
    """Of jobs that a live runner starts as fast as it can: the server is asked the new question
    exactly where the edit was accepted, and else the old one; once each."""
    wanted: list[str] = []
    for number in range(10):
        job = submit_long("It rained.", ask=f"Old {number}?")
        try:
            job.edit(ask=f"New {number}?", max_tokens=33)
            wanted.append(f"New {number}?")
        except IllegalTransition as error:
            assert "has started" in str(error) or "has ended" in str(error)
            wanted.append(f"Old {number}?")
        assert job.result() == "Well."
    assert asked(server) == wanted
    server.hold()
    running = submit_long("It rained.", ask="Running?")
    until(lambda: running.status().phase in (phases.WAITING, phases.PREFILL))
    refused = run("edit", running.id, "--ask", "Else?")
    assert refused.returncode == 1 and f"ktjob cancel {running.id}" in refused.stderr
    pause_queue()
    waiting = submit_long("It rained.", ask="Before?", label="x")
    edited = run("edit", waiting.id, "--ask", "After?", "--label", "", "--at", "+1s", "--json")
    record = json.loads(edited.stdout)
    assert (record["questions"], record["label"]) == (["After?"], None)
    assert "question Before? → After?" in run("show", waiting.id).stdout
    assert run("edit", waiting.id).returncode == 2
    resume_queue()
    server.let_go()
    assert waiting.result() == running.result() == "Well."
    assert sorted(asked(server)[len(wanted) :]) == ["After?", "Running?"]


def test_any_job_is_run_again_with_other_options_and_without_a_limit_that_it_exceeded(
    run: Run, server: FakeServer, state: StateDir
) -> None:
    """One that succeeded too. `ask` and `retry` take over no such limit either, and the label."""
    first = submit_long("It rained.", ask="Why?", label="day", timeout=50.0, priority=3)
    assert first.result() == "Well."
    again = run("rerun", first.id, "--ask", "When?", "--max-tokens", "7", "--wait")
    assert (again.returncode, again.stdout) == (0, "Well.\n")
    second = Job(json.loads(run("rerun", first.id, "--json").stdout)["id"])
    assert second.result() == "Well."
    now = second.status()
    assert (now.label, now.timeout, now.priority, now.questions) == ("day", 50.0, 3, ("Why?",))
    assert asked(server) == ["Why?", "When?", "Why?"]
    assert server.requests()[1]["max_tokens"] == 7
    server.hold()
    short = submit_long("It rained.", ask="Slow?", label="day", timeout=1.0)
    with pytest.raises(errors.JobFailed, match="no complete answer within 1 s"):
        short.result()
    server.let_go()
    others = [short.rerun(), short.ask("And?")]
    retried = run("retry", short.id)
    assert "without the time limit of 1 s" in retried.stderr
    for job in (*others, Job(retried.stdout.strip())):
        assert job.result() == "Well."
        assert job.status().label == "day" and job.status().timeout >= 3600
    with pytest.raises(errors.BadInput, match="colour cannot be changed"):
        short.rerun(colour="red")  # type: ignore[call-arg]


def test_several_are_changed_all_or_none_and_run_again_as_a_group(
    run: Run, server: FakeServer, state: StateDir, until: Until, tmp_path: Path
) -> None:
    """By the words of all other commands; their own label and server are what --label and --server
    set."""
    pause_queue()
    jobs = [submit_long("It rained.", ask=f"{name}?", label="night") for name in ("A", "B", "C")]
    ids = [job.id for job in jobs]
    assert run("edit", "--where-label", "night").returncode == 2  # nothing to change
    edited = run("edit", "--where-label", "ni*", "--max-tokens", "33", "--label", "day", "--json")
    assert edited.returncode == 0, edited.stderr
    assert [one["id"] for one in json.loads(edited.stdout)] == ids
    assert {one.max_tokens for one in (job.status() for job in jobs)} == {33}
    assert f"(as in job {ids[0]})" in run("edit", ids[0], "--max-tokens", "34").stderr
    asks = run("edit", "--all", "--max-tokens", "5")
    assert asks.returncode == 2 and "change 3 jobs" in asks.stderr and "--yes" in asks.stderr
    held = run("pause", "--search", "B?", "--json")
    assert [one["id"] for one in json.loads(held.stdout)] == [ids[1]]
    assert jobs[1].status().blocked_by == "held"
    released = run("resume", "--label", "day")
    assert released.returncode == 0, released.stderr
    assert jobs[1].status().blocked_by == "queue"
    assert run("pause", "--label", "day", "--server", server.url).returncode == 2
    jobs[2].cancel()
    refused = run("edit", *ids, "--max-tokens", "7")
    assert refused.returncode == 1 and f"job {ids[2]} has ended" in refused.stderr
    assert {job.status().max_tokens for job in jobs[:2]} == {33, 34}
    found = run("edit", "--search", "rained", "--in", "documents", "--max-tokens", "8")
    assert found.returncode == 0 and "1 job left out" in found.stderr
    resume_queue()
    assert [job.result() for job in jobs[:2]] == ["Well."] * 2
    again = run("rerun", "--where-label", "day", "--state", "succeeded", "--label", "again")
    assert again.returncode == 0, again.stderr
    new = again.stdout.split()
    group = Job(new[0]).status().group
    assert len(new) == 2 and f"ktjob wait {group}," in again.stderr
    assert select(str(group)).wait().results() == ["Well."] * 2
    assert [one.questions for one in select(str(group)).statuses()] == [("A?",), ("B?",)]
    printed = run("rerun", *new, "--wait")
    assert printed.stdout == "1. A?\n\nWell.\n\n2. B?\n\nWell.\n"
    once = select(label="again", states=["ended"]).rerun(max_tokens=9)
    assert once.group is not None and len(once) == 4
    assert once.wait().results() == ["Well."] * 4
