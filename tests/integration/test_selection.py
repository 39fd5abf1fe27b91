"""Several jobs named at once: by ids, `@last` and filters, on the command line and from Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.commands import Run, runner

import ktclient
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.errors import BadInput, JobCancelled, NoSuchJob, NotFinished

MANY = 30


@pytest.fixture
def run(ktjob_command: list[str], ktjob_home: Path, tmp_path: Path) -> Run:
    (tmp_path / "doc.txt").write_text("It was a dark and stormy night. " * 20)
    return runner(ktjob_command, tmp_path)


def submitted(run: Run, server: FakeServer, *questions: str, label: str = "trial") -> list[str]:
    asks = [word for question in questions for word in ("--ask", question)]
    done = run("submit", "doc.txt", *asks, "--server", server.url, "--label", label, "--quiet")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def states(state: StateDir) -> list[str]:
    with Store.open(state) as store:
        return [job.state for job in store.newest(1000)]


@pytest.mark.promise
def test_thirty_jobs_are_cancelled_by_one_command(
    run: Run, state: StateDir, tmp_path: Path, until: Callable[..., object]
) -> None:
    """In one transaction: none of those that wait begins meanwhile. A running one is told too."""
    with fake_sglang(tmp_path, "--prefill-seconds", "600") as server:
        ids = submitted(run, server, *(f"Question {number}?" for number in range(MANY)))
        server.wait_for_event("prefill_started")
        until(lambda: "RUNNING" in states(state))
        refused = run("cancel", "--all")
        assert refused.returncode == 2 and f"cancel {MANY} jobs" in refused.stderr
        assert "--yes" in refused.stderr and "CANCELLED" not in states(state)
        done = run("cancel", "--label", "tri*", "--json")
        assert done.returncode == 0, done.stderr
        assert f"{MANY} jobs cancelled" in done.stderr
        assert [job["id"] for job in json.loads(done.stdout)] == ids
        assert states(state) == ["CANCELLED"] * MANY
        with Store.open(state) as store:
            ends = [store.events(job_id)[-1] for job_id in ids]
            begun = [store.job(job_id).attempt for job_id in ids]
        waiting = {end.at for end, attempt in zip(ends, begun, strict=True) if not attempt}
        assert 0 < sum(begun) < MANY and len(waiting) == 1  # all in one transaction
        again = run("cancel", ids[0], ids[1])
        assert again.returncode == 0 and again.stderr.count("had already ended: CANCELLED") == 2
        rest = run("cancel", "--all")  # nothing is left to ask about, and nothing is left out
        assert rest.returncode == 0 and rest.stderr == "0 jobs cancelled\n"
        none = run("cancel", "--label", "tri*")
        assert none.returncode == 0 and f"{MANY} jobs left out" in none.stderr
        assert run("cancel", "--label", "no such").returncode == 3
        assert run("cancel").returncode == 2


def test_answers_of_several_are_waited_for_printed_and_removed(
    run: Run, state: StateDir, tmp_path: Path
) -> None:
    """Each command takes the same words; one job is one JSON object, and several are a list."""
    with fake_sglang(tmp_path, "--answer", "It rained.") as server:
        first, second = submitted(run, server, "Who dies?", "Who lives?")
        waited = run("wait", "--label", "trial")
        assert waited.returncode == 0 and waited.stdout == ""
        assert f"job {first} succeeded" in waited.stderr
        printed = run("wait", second, first, "--print")
        assert printed.stdout == "1. Who lives?\n\nIt rained.\n\n2. Who dies?\n\nIt rained.\n"
        whole = "## doc.txt: Who dies?\n\nIt rained.\n\n## doc.txt: Who lives?\n\nIt rained.\n"
        assert run("result", "--state", "succeeded").stdout == whole
        written = run("result", "--all", "-o", "answers.md")
        assert "answers.md: 2 answers" in written.stderr
        assert (tmp_path / "answers.md").read_text() == whole
        assert json.loads(run("wait", "@last", "--json").stdout)["id"] == second
        for command in ("wait", "result", "show", "logs"):
            told = json.loads(run(command, "@last-1", "@last", "--json").stdout)
            assert [one["id"] for one in told] == [first, second], command
        assert run("logs", first, second).stdout.count("== job ") == 2
        assert run("show", first, second).stdout.count("submitted  ") == 2
        followed = run("follow", first, second)
        assert followed.stdout == "It rained.\nIt rained.\n"
        assert f"== job {second}: Who lives?" in followed.stderr
        assert run("wait", "--all").returncode == 0
        assert run("retry", first).returncode == 1
        none = run("retry", "--label", "trial")
        assert none.returncode == 0 and none.stdout == ""
        assert run("rm", "--label", "trial", "--state", "failed").returncode == 3
        assert run("rm", "--all").returncode == 2
        assert run("rm", "--all", "--yes").returncode == 0
        assert states(state) == []


def test_failures_are_told_in_place_and_retried_together(
    run: Run, state: StateDir, tmp_path: Path
) -> None:
    """The exit code is that of the first one that did not succeed."""
    with fake_sglang(tmp_path, "--fault", ",".join(["http_400_flat"] * 4)) as server:
        ids = submitted(run, server, "Who dies?", "Who lives?")
        done = run("wait", *ids)
        assert done.returncode == 1 and done.stderr.count("failed after") == 2
        printed = run("result", *ids)
        assert printed.returncode == 1 and printed.stdout.count("failed: ") == 2
        assert printed.stdout.startswith("## doc.txt: Who dies?\n\n*Job ")
        refused = run("retry", "--all")
        assert refused.returncode == 2 and "retry 2 jobs" in refused.stderr
        again = run("retry", "--state", "failed")
        new = again.stdout.split()
        assert again.returncode == 0 and len(new) == 2 and not set(new) & set(ids)
        group = json.loads(run("show", new[0], "--json").stdout)["group"]
        assert group.startswith("g-") and f"ktjob wait {group}\n" in again.stderr
        assert run("wait", *new, "--timeout", "600").returncode == 1


def test_what_has_not_ended_is_not_printed(run: Run, state: StateDir, tmp_path: Path) -> None:
    """Neither to the terminal nor into a file; a wait with a limit says how many are left."""
    with fake_sglang(tmp_path, "--prefill-seconds", "600") as server:
        ids = submitted(run, server, "Who dies?", "Who lives?")
        refused = run("result", *ids, "-o", "answers.md")
        assert refused.returncode == 5 and "2 of 2 jobs have not finished" in refused.stderr
        assert not (tmp_path / "answers.md").exists()
        waited = run("wait", *ids, "--timeout", "0.1")
        assert waited.returncode == 5 and "2 jobs have not finished" in waited.stderr
        assert "0 of 2 done" in waited.stderr
        jobs = ktclient.select(label="trial")
        assert (
            jobs.ids == ids == [job.id for job in ktclient.select(*ids, states=["queued,running"])]
        )
        with pytest.raises(NotFinished):
            jobs.results(timeout=0.1)
        assert {one.state for one in jobs.statuses()} <= {"QUEUED", "RUNNING"}
        jobs.cancel()
        with pytest.raises(JobCancelled):
            jobs.wait().results()
        assert ktclient.select("@last").ids == ids[1:] == [ktclient.Job("@last").id]
        with pytest.raises(NoSuchJob):
            ktclient.select(states="queued")
        with pytest.raises(BadInput, match="which jobs"):
            ktclient.select()
        assert len(ktclient.select(everything=True)) == 2
