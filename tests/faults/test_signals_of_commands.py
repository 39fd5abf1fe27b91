"""Signals to `ktjob submit` and `ktjob wait`: real commands against the scripted server.

Where a signal has to come at a certain step of submit, submit sends it to itself there
(tests/support/killing), once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang

from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.upkeep.garbage import Upkeep
from ktclient import Job

KILLING = Path(__file__).parents[1] / "support" / "killing"
Until = Callable[..., object]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path_factory.mktemp("server"), "--prefill-seconds", "0.3") as server:
        yield server


@pytest.fixture
def submit(
    state: StateDir, server: FakeServer, tmp_path: Path, ktjob_command: list[str]
) -> Callable[..., subprocess.Popen[str]]:
    """Start `ktjob submit`, which signals itself at a point."""

    def submit(point: str = "", number: signal.Signals | None = None) -> subprocess.Popen[str]:
        document = tmp_path / "book.txt"
        document.write_text("It was a dark and stormy night. " * 50)
        environment = {**os.environ, "PYTHONPATH": str(KILLING)}
        if number is not None:
            environment["KTJOB_KILL"] = f"submit|{point}|{tmp_path / 'fired'}|{number.name}"
        return subprocess.Popen(
            [*ktjob_command, "submit", str(document), "--server", server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )

    return submit


def jobs_of(ktjob_command: list[str]) -> list[str]:
    done = subprocess.run(
        [*ktjob_command, "status", "--json"], capture_output=True, text=True, check=True
    )
    return [job["id"] for job in json.loads(done.stdout)]


def is_stopped(process: subprocess.Popen[str]) -> bool:
    one = identity.of(process.pid)
    return one is not None and identity.is_stopped(one)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_submit_ended_before_its_commit_has_stored_nothing(
    submit: Callable[..., subprocess.Popen[str]],
    ktjob_command: list[str],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    """No id, no job, no traceback."""
    process = submit("before submit", number)
    out, err = process.communicate()
    assert (tmp_path / "fired").exists() and out == "" and "Traceback" not in err
    assert process.returncode == (130 if number is signal.SIGINT else -number)
    assert jobs_of(ktjob_command) == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_submit_ended_after_its_commit_has_submitted(
    submit: Callable[..., subprocess.Popen[str]],
    ktjob_command: list[str],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    """The job runs. Ctrl-C names it: nobody is to submit it again because no id was shown."""
    process = submit("before ensure_runner", number)
    _, err = process.communicate()
    assert (tmp_path / "fired").exists() and "Traceback" not in err
    assert process.returncode == (130 if number is signal.SIGINT else -number)
    (job_id,) = jobs_of(ktjob_command)
    if number is signal.SIGINT:
        assert f"job {job_id} is stored" in err and f"ktjob cancel {job_id}" in err
    assert Job(job_id).result().strip()
    assert Job(job_id).status().attempt == 1


@pytest.mark.parametrize("point", ["before submit", "after submit"])
def test_submit_suspended_goes_on_where_it_was(
    submit: Callable[..., subprocess.Popen[str]], until: Until, point: str
) -> None:
    """Ctrl-Z and fg."""
    process = submit(point, signal.SIGSTOP)
    until(lambda: is_stopped(process))
    process.send_signal(signal.SIGCONT)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert Job(out.strip()).result().strip()


@pytest.mark.promise
def test_submit_into_a_closed_pipe_has_submitted(
    submit: Callable[..., subprocess.Popen[str]], ktjob_command: list[str]
) -> None:
    """SIGPIPE: nobody reads the id, the job runs all the same."""
    process = submit()
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    with process.stderr as stderr:
        err = stderr.read()
    assert process.wait() == 1 and "Traceback" not in err
    (job_id,) = jobs_of(ktjob_command)
    assert Job(job_id).result().strip()


@pytest.mark.promise
@pytest.mark.long
def test_streams_that_are_closed_or_on_a_full_disk_cost_no_job(
    submit: Callable[..., subprocess.Popen[str]], state: StateDir, ktjob_command: list[str]
) -> None:
    """A daemon's closed streams are nothing to write to; an id that cannot be printed is said on
    the other stream; words for people that cannot be printed are no failure. No file of ours takes
    the number of a closed stream, and so nothing is printed into one."""
    first = submit()
    first.communicate()
    words = first.args
    assert isinstance(words, list)
    shell = ["bash", "-c"]

    def ended(streams: str) -> tuple[int, str, str, list[str]]:
        before = set(jobs_of(ktjob_command))
        done = subprocess.run(
            [*shell, f'"$@" {streams}', "ktjob", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, (streams, done.stderr)
        new = set(jobs_of(ktjob_command)) - before
        return done.returncode, done.stdout.strip(), done.stderr, sorted(new)

    code, _, err, (job_id,) = ended(">/dev/full")
    assert code == 1 and f"job {job_id} is stored" in err and "No space left" in err
    code, out, _, (job_id,) = ended("2>/dev/full")
    assert code == 0 and out == job_id
    code, out, _, (job_id,) = ended("2>&-")
    assert code == 0 and out == job_id
    code, _, _, (job_id,) = ended("<&- >&- 2>&-")
    assert code == 0
    assert Job(job_id).result().strip()
    with Upkeep.open(state) as store:
        assert store.problems() == []


def test_a_wait_is_suspended_interrupted_and_ended_without_touching_the_job(
    submit: Callable[..., subprocess.Popen[str]],
    until: Until,
    ktjob_command: list[str],
    tmp_path: Path,
) -> None:
    """Ctrl-C detaches with 130; Ctrl-Z and fg find the end that came meanwhile."""
    out, _ = submit().communicate()
    job = Job(out.strip())

    def wait(number: signal.Signals) -> subprocess.Popen[str]:
        shot = f"submit|after recover|{tmp_path / number.name}|{number.name}"
        environment = {**os.environ, "PYTHONPATH": str(KILLING), "KTJOB_KILL": shot}
        command = [*ktjob_command, "wait", job.id]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    suspended, interrupted, hung_up = map(wait, (signal.SIGSTOP, signal.SIGINT, signal.SIGHUP))
    until(lambda: is_stopped(suspended))
    assert interrupted.communicate()[1].strip() == "" and interrupted.returncode == 130
    assert hung_up.communicate()[1] == "" and hung_up.returncode == -signal.SIGHUP
    assert job.result().strip()
    assert is_stopped(suspended)
    suspended.send_signal(signal.SIGCONT)
    _, said = suspended.communicate()
    assert suspended.returncode == 0 and "succeeded" in said
    assert job.status().attempt == 1
