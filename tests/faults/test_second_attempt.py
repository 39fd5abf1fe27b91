"""What is asked again, when, and what never is: against the scripted server, whose ghost prefill
is the recorded one of sglang-kt."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.asking import chat_body, connect, load, start
from fake_sglang.process import FakeServer, fake_sglang

from jobs.model import Identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, submit_long
from ktclient.cli.render import job_activity
from ktclient.records.snapshot import Snapshot

Until = Callable[..., object]

# 4,096-token chunks of a 20,480-token prompt: five steps of a prefill of two seconds.
PROMPT = "x" * 81_920
PREFILL = ("--prefill-seconds", "2")
KILLING = Path(__file__).parents[1] / "support" / "killing"
AT_ONCE = (
    "jobs.runner.loop.REST_SECONDS=0.05,jobs.runner.loop.TICK_SECONDS=0.1,"
    "ktclient.worker.ghost_prefill.LOOK_SECONDS=0.1"
)
"""Otherwise a job rests for longer than such a ghost lasts, and anybody's patience would do."""


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another attempt begins as soon as the first is known to be dead."""
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    monkeypatch.setenv("KTJOB_CONSTANTS", AT_ONCE)


def submit(server: FakeServer, **options: object) -> Job:
    return submit_long(PROMPT, server=server.url, **options)  # type: ignore[arg-type]


def worker_of(state: StateDir, job: Job) -> Identity:
    with Store.open(state) as store:
        attempt = store.attempt(store.job(job.id))
    assert attempt is not None
    return attempt.worker


def kinds_of(state: StateDir, job: Job) -> list[str]:
    with Store.open(state) as store:
        return [event.kind for event in store.events(job.id)]


def notes_of(state: StateDir, job: Job, kind: str) -> list[dict[str, object]]:
    with Store.open(state) as store:
        return [event.data for event in store.events(job.id) if event.kind == kind]


@pytest.mark.promise
def test_a_second_prefill_waits_for_the_ghost_of_the_first(
    tmp_path: Path, state: StateDir, until: Until, at_once: None
) -> None:
    """The worker dies in mid-prefill. sglang-kt computes on: the next attempt asks only once the
    server has fallen silent, under a new name, and the answer is whole. It says how long both take,
    because a job before it taught that."""
    with fake_sglang(tmp_path, *PREFILL, "--flavour", "kt", "--answer", "Whole.") as server:
        submit_long("y" * len(PROMPT), server=server.url).wait()
        server.hold()  # or the ghost could be over before the next attempt begins
        job = submit(server)
        until(lambda: job.status().figures.get("predicted_seconds"))
        until(lambda: len(server.events("prefill_started")) == 2)
        os.kill(worker_of(state, job).pid, signal.SIGKILL)

        def is_waiting() -> Snapshot | None:
            now = job.status()
            is_for_it = str(now.phase).startswith("waiting for the last attempt")
            return now if is_for_it and now.eta_seconds is not None else None

        waiting = until(is_waiting)
        assert isinstance(waiting, Snapshot)
        assert len(server.events("finished")) == 1, "it begins while the ghost is there"
        server.let_go()
        assert job.result() == "Whole."
        _, first, second = server.events("request")
        _, ghost, *_ = server.events("finished")
        assert first["rid"] != second["rid"]
        assert ghost["rid"] == first["rid"] and ghost["t"] <= second["t"]
        assert ghost["prefilled"] > 20_480, "a ghost: it was computed to its end"
    assert job.status().attempt == 2
    assert notes_of(state, job, "last attempt") == [{"silent": True}]
    assert f"until your job {job.id} (ended " in str(waiting.figures["predicted_as"])
    assert "TTFT in" in job_activity.activity(waiting)
    after = job.status().figures
    assert float(str(waiting.figures["predicted_seconds"])) >= float(
        str(after["predicted_seconds"])
    )
    assert after["predicted_as"] is None and after["shared"] is None
    with Store.open(state) as store:
        message = str(store.attempts(job.id)[0].message)
    assert message.endswith("attempt 1 of 2"), "no text had come, so none is kept"


def test_a_server_that_stops_at_once_is_asked_again_at_once(
    tmp_path: Path, state: StateDir, at_once: None
) -> None:
    """Upstream frees an aborted prefill within a chunk."""
    options = (*PREFILL, "--flavour", "upstream", "--answer", "Whole.")
    with fake_sglang(tmp_path, *options) as server:
        server.hold()
        job = submit(server)
        server.wait_for_event("prefill_started")
        os.kill(worker_of(state, job).pid, signal.SIGKILL)
        server.wait_for_event("disconnect")
        server.let_go()
        assert job.result() == "Whole."
        (first, *_) = server.events("finished")
        assert first["prefilled"] < 20_480
        assert len(server.requests()) == 2


@pytest.mark.promise
def test_a_server_that_died_in_mid_prefill_is_waited_for(
    tmp_path: Path, state: StateDir, until: Until
) -> None:
    """Killed and started again on its port: one prefill on each, and the job succeeds."""
    with fake_sglang(tmp_path, "--prefill-seconds", "60") as dying:
        job = submit(dying)
        dying.wait_for_event("prefill_started")
        dying.process.kill()
        until(lambda: "not accepted" in kinds_of(state, job))
    with fake_sglang(tmp_path, "--port", str(dying.port), "--answer", "Back.") as reborn:
        assert job.result() == "Back."
        assert len(reborn.requests()) == len(dying.requests()) == 1
    now = job.status()
    assert (now.attempt, now.cause, now.message) == (2, None, None)
    assert "server_died" in str(notes_of(state, job, "queued again"))


@pytest.mark.promise
def test_a_server_that_is_gone_is_waited_for_longer_than_one_that_is_full(
    tmp_path: Path, state: StateDir, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into the morning after a crash at night, so that no queue fails job by job; the reason is
    shown, and noted once."""
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    constants = (
        "ktclient.worker.retry.PATIENCE_SECONDS=0.05,"
        "ktclient.worker.retry.LONGEST_AWAY_PAUSE_SECONDS=0.1"
    )
    monkeypatch.setenv("KTJOB_CONSTANTS", constants)
    with fake_sglang(tmp_path, "--prefill-seconds", "60") as dying:
        job, next_one = submit(dying), submit(dying)
        dying.wait_for_event("prefill_started")
        dying.process.kill()
        # A connection that its dying socket still took is closed first.
        until(lambda: "nothing listens there" in job_activity.activity(job.status()))
        assert "waiting for the server (" in job_activity.activity(job.status())
    with fake_sglang(tmp_path, "--port", str(dying.port), "--answer", "Back.") as reborn:
        assert job.result() == next_one.result() == "Back."
        assert len(reborn.requests()) == 2
        reasons = [str(note["reason"]) for note in notes_of(state, job, "not accepted")]
        # Before the last one perhaps what such a connection was told.
        assert len(set(reasons)) == len(reasons) and "nothing listens there" in reasons[-1]
        assert job.status().figures["last_refusal"] is None
    with fake_sglang(tmp_path, "--fault", ",".join(["http_503_queue_full"] * 9)) as full:
        job = submit(full)
        with pytest.raises(errors.JobFailed, match="queue accepts no more"):
            job.result()


def test_what_was_not_accepted_is_asked_again_in_the_same_attempt(
    tmp_path: Path, state: StateDir
) -> None:
    """A server that is starting, or full, has computed nothing."""
    fault = "http_503_starting,http_503_queue_full,http_429"
    with fake_sglang(tmp_path, "--fault", fault, "--answer", "At last.") as server:
        job = submit(server)
        assert job.result() == "At last."
        assert len(server.events("prefill_started")) == 1
    assert job.status().attempt == 1
    assert len(notes_of(state, job, "not accepted")) == 3


@pytest.mark.promise
@pytest.mark.parametrize("metrics", [("--metrics",), ()])
def test_the_fork_that_is_full_and_says_nothing_is_asked_again(
    tmp_path: Path,
    state: StateDir,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
    metrics: tuple[str, ...],
) -> None:
    """sglang-kt ends the stream without a byte, in good order or not. By its own figures its queue
    is full: nothing was accepted, and no attempt is used up."""
    monkeypatch.setenv("PYTHONPATH", str(KILLING))  # a loaded machine takes its time
    monkeypatch.setenv("KTJOB_CONSTANTS", "ktclient.worker.exchange.REFUSED_SECONDS=600")
    options = ("--flavour", "kt", "--max-queued", "1", "--instant-loads", "--answer", "At last.")
    with fake_sglang(tmp_path, *options, *metrics) as server:
        server.hold()
        first, second = start(server, rid="first"), connect(server)
        second.request("POST", "/v1/chat/completions", json.dumps(chat_body(rid="second")))
        until(lambda: load(server)["num_waiting_reqs"] == 1)
        job = submit(server)
        until(lambda: "its queue accepts no more" in str(notes_of(state, job, "not accepted")))
        server.let_go()
        assert job.result() == "At last."
        first.close()
        second.close()
    assert job.status().attempt == 1


@pytest.mark.promise
@pytest.mark.parametrize("fault", ["error_in_stream", "abort_midway", "http_400_flat", "http_401"])
def test_what_was_answered_is_never_asked_again(
    tmp_path: Path, state: StateDir, fault: str
) -> None:
    """An error is an answer: the same prompt would get the same one, half an hour later."""
    with fake_sglang(tmp_path, "--fault", fault) as server:
        job = submit(server, max_attempts=5)
        with pytest.raises(errors.JobFailed):
            job.result()
        assert len(server.requests()) == 1
    assert job.status().attempt == 1


def test_one_attempt_is_one_request(tmp_path: Path, state: StateDir) -> None:
    """Whoever wants no second prefill gets none."""
    with fake_sglang(tmp_path, "--fault", "cut_midway", "--answer", "a b c d") as server:
        job = submit(server, max_attempts=1)
        with pytest.raises(errors.JobFailed) as failed:
            job.result()
        assert len(server.requests()) == 1
    assert failed.value.partial_text.startswith("a")
    assert job.status().cause == "stream_cut"


def test_a_cancel_says_what_the_server_still_does(
    tmp_path: Path, state: StateDir, until: Until
) -> None:
    """sglang-kt goes on with the prefill after the abort; the message says so, and what helps."""
    options = ("--prefill-seconds", "30", "--flavour", "kt", "--chunk", "512")
    with fake_sglang(tmp_path, *options) as server:
        job = submit(server)
        server.wait_for_event("prefill_started")
        job.cancel()
        with pytest.raises(errors.JobCancelled, match="still computes"):
            job.result()
        server.wait_for_event("disconnect")  # it may see the end of the line late
        (abort,) = server.events("abort")
        (cut,) = server.events("disconnect")
        assert abort["matched"] and abort["t"] <= cut["t"], "by name first, then the line"


def test_a_cancel_that_was_followed_says_no_more(
    tmp_path: Path, state: StateDir, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upstream fell silent, after the chunk that it computed: nothing to warn of."""
    long = f"{AT_ONCE},ktclient.worker.abort.AFTER_CANCEL_SECONDS=25"
    monkeypatch.setenv("KTJOB_CONSTANTS", long)
    options = ("--prefill-seconds", "30", "--flavour", "upstream", "--chunk", "512")
    with fake_sglang(tmp_path, *options) as server:
        job = submit(server)
        server.wait_for_event("prefill_started")
        job.cancel()
        with pytest.raises(errors.JobCancelled) as cancelled:
            job.result()
    assert "still computes" not in str(cancelled.value)
