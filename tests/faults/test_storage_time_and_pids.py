"""A clock set by a day while jobs run and wait, and process ids that belong to strangers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support import processes, queueing

from jobs import clock
from jobs.processes import identity
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import recovery
from ktclient import submit_long

Until = Callable[..., object]
DAY = 86_400


@pytest.fixture(autouse=True)
def importable_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(queueing.SUPPORT))


@pytest.fixture
def wall_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the clock of all processes started from here by so many seconds."""
    offset = tmp_path / "offset"

    def shift(seconds: int) -> None:
        draft = offset.with_suffix(".draft")
        draft.write_text(str(seconds))
        draft.rename(offset)

    shift(0)
    folder = queueing.SUPPORT / "shifting"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(queueing.SUPPORT)]))
    monkeypatch.setenv("KTJOB_CLOCK", str(offset))
    return shift


@pytest.mark.promise
@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_is_set_ends_nothing_and_loses_nothing(
    state: StateDir,
    until: Until,
    tmp_path: Path,
    wall_clock: Callable[[int], None],
    ktjob_command: list[str],
    days: int,
) -> None:
    """No worker is called dead, no waiting job forgotten, no duration negative, and gc keeps what
    ended a moment ago."""
    gate = tmp_path / "gate"
    first = queueing.submit(state, say="be", until=str(gate), then="fore")
    until(lambda: queueing.text_of(state, first) == "be")
    worker = queueing.attempt_of(state, first).worker
    second = queueing.put(state, say="after")
    wall_clock(days * DAY)
    with Store.open(state) as store:
        assert [job.id for job in recovery.recover(store, state)] == [first.id]
    start.ensure_runner(state, queueing.WORK)
    gate.touch()
    until(queueing.ended(state, second))
    assert identity.of(worker.pid) != worker
    ends = [queueing.look(state, job) for job in (first, second)]
    assert [(job.state, job.attempt) for job in ends] == [("SUCCEEDED", 1)] * 2
    shown = clock.seconds_between(ends[0].started_at or "", ends[0].finished_at or "")
    assert (shown > 0) is (days > 0), "the clock was not set at all"
    queueing.sql(state, "UPDATE jobs SET spec = ?", SPEC)
    for later in (0, 2 * DAY):
        wall_clock(later)
        said = ktjob(ktjob_command, "gc", "--older-than", "12h")
        assert (said.returncode, said.stdout) == (0, "")
    listed = json.loads(ktjob(ktjob_command, "status", "--json").stdout)
    assert {job["id"] for job in listed} == {first.id, second.id}
    in_words = ktjob(ktjob_command, "status", first.id).stdout
    assert "took" in in_words and "-" not in in_words.split("took")[1].splitlines()[0]


@pytest.mark.parametrize("days", [1, -1])
def test_no_deadline_fires_early_when_the_clock_is_set(
    state: StateDir, tmp_path: Path, wall_clock: Callable[[int], None], days: int
) -> None:
    """A request in mid-prefill, with ten minutes to go."""
    with fake_sglang(tmp_path, "--prefill-seconds", "2", "--answer", "Whole.") as server:
        job = submit_long("x" * 81_920, server=server.url, timeout=600)
        server.wait_for_event("prefill_started")
        wall_clock(days * DAY)
        assert job.result() == "Whole."
        assert job.status().attempt == 1 and job.status().seconds() >= 0


@pytest.mark.promise
def test_a_job_for_later_and_a_notification_do_not_wait_for_a_clock_that_was_wrong(
    state: StateDir,
    until: Until,
    tmp_path: Path,
    wall_clock: Callable[[int], None],
    ktjob_command: list[str],
) -> None:
    """Submitted with `--at +1s`, and a notification that failed once, by a clock nine years ahead
    that is then set right: both come soon, not in nine years. A time of the clock stays."""
    wall_clock(3285 * DAY)
    (tmp_path / "document.txt").write_text("words")
    with fake_sglang(tmp_path, "--answer", "Whole.") as server:
        document = str(tmp_path / "document.txt")
        asked = ("submit", "-q", document, "--server", server.url)
        told = tmp_path / "told"
        command = f"test -e {told} && echo $KTJOB_ID >>{told}"
        ended = ktjob(ktjob_command, *asked, "--on-done", command, "--wait")
        assert ended.returncode == 0, ended
        until(lambda: queueing.sql(state, "SELECT 1 FROM tellings WHERE trouble IS NOT NULL"))
        assert queueing.sql(state, "SELECT due_at > '2035' FROM tellings") == [(1,)]
        soon, late = (
            ktjob(ktjob_command, *asked, "--at", at) for at in ("+600s", "2036-12-24 18:00")
        )
        assert (soon.returncode, late.returncode) == (0, 0), (soon, late)
        soon, late = soon.stdout.strip(), late.stdout.strip()
        queueing.sql(state, RENEWED, soon)
        told.touch()
        wall_clock(0)
        until(lambda: told.read_text())
        until(lambda: queueing.sql(state, "SELECT outcome FROM jobs WHERE id = ?", soon)[0][0])
        assert queueing.sql(state, "SELECT status FROM jobs WHERE id = ?", late) == [("QUEUED",)]


RENEWED = """UPDATE events SET data = json_set(data, '$.delay_seconds', 1.0)
WHERE job_id = ? AND kind = 'submitted'"""
"""A delay that a test can wait for, of a job that was not due before the clock was set."""
SPEC = (
    '{"version":1,"task":{"kind":"ask","text":"?"},"server":"http://127.0.0.1:9","model":null,'
    '"max_tokens":1,"timeout":1.0}'
)


def ktjob(command: list[str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *args], capture_output=True, text=True)


@pytest.mark.promise
def test_a_stranger_with_a_dead_workers_pid_is_left_alone(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """The row names a live process of another start time: the job is recovered, and the stranger
    gets no signal, not even from a cancel."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        job = queueing.submit(state, say="x", until=str(tmp_path / "never"), attempts=2)
        until(lambda: queueing.text_of(state, job) == "x")
        worker = queueing.attempt_of(state, job).worker
        queueing.sql(state, "UPDATE attempts SET pid = ?", stranger.pid)
        processes.end_all(state)
        assert not identity.is_same_process_alive(
            type(worker)(worker.boot_id, stranger.pid, worker.start_ticks)
        )
        with Store.open(state) as store:
            assert recovery.recover(store, state) == []
            assert store.job(job.id).state == "QUEUED"
            assert store.request_cancel(job.id).state == "CANCELLED"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_stale_runner_lock_that_names_a_stranger_is_only_paper(
    state: StateDir, until: Until
) -> None:
    """What counts is the lock, not what is written in it: a runner starts, and signs anew."""
    stranger = identity.of(os.getppid())
    assert stranger is not None
    paper = {"boot_id": stranger.boot_id, "pid": stranger.pid, "start_ticks": stranger.start_ticks}
    for content in (json.dumps(paper), "{", ""):
        state.runner_lock.write_text(content)
        assert not start.is_runner_alive(state) and identity.holder(state.runner_lock) is None
        job = queueing.submit(state, say="x")
        until(queueing.ended(state, job))
        assert identity.holder(state.runner_lock) not in (None, stranger)
        processes.end_all(state)
    assert identity.is_same_process_alive(stranger)
