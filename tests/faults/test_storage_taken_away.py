"""A state directory that is out of sight for a while, and files of the database that are removed
while jobs run: running work is kept, and whoever comes meanwhile gets words."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support import fuse_disk, processes, queueing

from jobs.errors import StoreTorn, StoreUnusable
from jobs.model import Capacity, NewJob, Status
from jobs.processes import file_users, identity
from jobs.store.files import open_files
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.upkeep.garbage import Upkeep

Until = Callable[..., object]


@pytest.fixture(autouse=True)
def importable_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(queueing.SUPPORT))


def begun(state: StateDir, until: Until, gate: Path) -> queueing.Job:
    """A job that has said "be", and says "fore" once the gate is there."""
    job = queueing.submit(state, say="be", until=str(gate), then="fore", attempts=2)
    until(lambda: queueing.text_of(state, job) == "be")
    return job


def unfinished(state: StateDir) -> list[tuple[object, ...]]:
    return queueing.sql(state, "SELECT id FROM jobs WHERE status != 'FINISHED'")


def worker_of(state: StateDir, job: queueing.Job) -> identity.Identity:
    return queueing.attempt_of(state, job).worker


@pytest.mark.promise
def test_a_folder_that_is_away_for_a_while_ends_nothing(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """`mv` to another place and back, once quickly and once while the job writes: the job, the
    runner and the queue go on, and nothing is created in the meantime."""
    gate = tmp_path / "gate"
    job = begun(state, until, gate)
    runner = identity.holder(state.runner_lock)
    queueing.put(state, say="second")
    gone = state.root.rename(tmp_path / "gone")
    gone.rename(state.root)
    gone = state.root.rename(tmp_path / "gone")
    gate.touch()
    moved = StateDir(gone)
    until(queueing.ended(moved, job))
    assert not state.root.exists()
    gone.rename(state.root)
    until(lambda: unfinished(state) == [])
    ended = queueing.look(state, job)
    assert (ended.state, ended.attempt) == ("SUCCEEDED", 1)
    assert queueing.text_of(state, job) == "before"
    assert runner is not None and identity.holder(state.runner_lock) == runner
    assert identity.is_same_process_alive(runner)


@pytest.mark.promise
def test_commands_that_wait_look_again_for_a_folder_that_is_away(
    state: StateDir, until: Until, tmp_path: Path, ktjob_command: list[str]
) -> None:
    """`wait`, `follow` and `events --follow` of a job, through `mv` and back: each gets the end,
    and no event twice."""
    gate = tmp_path / "gate"
    job = begun(state, until, gate)
    queueing.sql(state, "UPDATE jobs SET spec = ?", SPEC)
    waiting = [
        subprocess.Popen([*ktjob_command, *words, job.id], text=True, **PIPED)  # type: ignore[call-overload]
        for words in (["wait"], ["follow"], ["events", "--follow"])
    ]
    try:
        opened = Opened(waiting, state)
        until(lambda: opened.look() and opened.least(waiting[:2]) > 5)
        until(lambda: waiting[2].pid in users(waiting, state))
        gone = state.root.rename(tmp_path / "gone")
        until(lambda: waiting[2].pid not in users(waiting, StateDir(gone)))
        gone.rename(state.root)
        gate.touch()
        said = [process.communicate()[0] for process in waiting]
        assert [process.returncode for process in waiting] == [0, 0, 0], said
        assert "before" in said[1] and "finished" in said[2]
        numbers = [json.loads(line)["seq"] for line in said[2].splitlines()]
        assert numbers == sorted(set(numbers))
    finally:
        for process in waiting:
            process.kill()


PIPED = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
SPEC = '{"version":1,"task":{"kind":"ask","text":"?"},"server":"http://127.0.0.1:9","model":null,'
SPEC += '"max_tokens":1,"timeout":1.0}'


class Opened:
    """How often each process was seen to open the database: `wait` and `follow` do it again and
    again, for an instant."""

    def __init__(self, started: list[subprocess.Popen[str]], state: StateDir) -> None:
        self._started, self._state = started, state
        self._now: set[int] = set()
        self._times: Counter[int] = Counter()

    def look(self) -> bool:
        before, self._now = self._now, set(users(self._started, self._state))
        self._times.update(self._now - before)
        return True

    def least(self, those: list[subprocess.Popen[str]]) -> int:
        return min(self._times[process.pid] for process in those)


def users(started: list[subprocess.Popen[str]], state: StateDir) -> list[int]:
    """Which of them have the database open at this moment."""
    pids = [process.pid for process in started]
    return [pid for pid in pids if str(state.database) in file_users.open_files(pid)]


@pytest.mark.promise
@pytest.mark.mount
def test_a_disk_that_is_unmounted_and_mounted_again_ends_nothing(
    tmp_path: Path, until: Until, ktjob_command: list[str]
) -> None:
    """A lazy unmount, as of an automounter: the job goes on in memory and on the hidden disk. Who
    submits meanwhile is refused, where a new queue would be hidden by the disk afterwards."""
    disk, shown = tmp_path / "disk", tmp_path / "shown"
    disk.mkdir(), shown.mkdir()
    bind = ["mount", "--bind", str(disk), str(shown)]
    subprocess.run(bind, check=True)
    state = StateDir(shown / "state").create()
    try:
        gate = tmp_path / "gate"
        job = begun(state, until, gate)
        runner = identity.holder(state.runner_lock)
        assert runner is not None
        queueing.put(state, say="second")
        subprocess.run(["umount", "-l", str(shown)], check=True)
        until(lambda: "looking again" in (disk / "state" / "runner.log").read_text())
        env = {**os.environ, "KTJOB_HOME": str(state.root)}
        asked = [*ktjob_command, "submit", "-", "--server", "embedded"]
        done = subprocess.run(asked, input="x", env=env, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"process {runner.pid}" in done.stderr and "unmounted" in done.stderr
        for words in (["status"], ["list"], ["show", job.id], ["gc", "--older-than", "0d"]):
            done = subprocess.run([*ktjob_command, *words], env=env, capture_output=True, text=True)
            assert done.returncode == 1 and "unmounted" in done.stderr, done
        assert list(shown.iterdir()) == [], "nothing is created below the disk"
        gate.touch()
        subprocess.run(bind, check=True)
        until(lambda: unfinished(state) == [])
        ended = queueing.look(state, job)
        assert (ended.state, ended.attempt) == ("SUCCEEDED", 1)
        assert queueing.text_of(state, job) == "before"
        assert identity.holder(state.runner_lock) == runner
    finally:
        processes.end_all(state)
        subprocess.run(["umount", "-l", str(shown)], check=False)


@pytest.mark.promise
@pytest.mark.fuse
def test_a_fuse_disk_that_crashes_and_is_mounted_again_ends_nothing(
    tmp_path: Path, until: Until, ktjob_command: list[str]
) -> None:
    """Every open file is dead for good then. The worker keeps its text, and opens the database
    again once it is back; a look meanwhile says what is wrong."""
    gate = tmp_path / "gate"
    with fuse_disk.mounted(tmp_path) as disk:
        state = StateDir(disk.path / "state").create()
        try:
            job = begun(state, until, gate)
            queueing.put(state, say="second")
            worker = worker_of(state, job)
            disk.crash()
            env = {**os.environ, "KTJOB_HOME": str(state.root)}
            done = subprocess.run(
                [*ktjob_command, "status"], env=env, capture_output=True, text=True
            )
            assert done.returncode == 1 and done.stderr.startswith(
                f"ktjob: cannot use {state.root}"
            )
            gate.touch()
            disk.unmount()
            disk.mount()
            until(lambda: unfinished(state) == [])
            ended = queueing.look(state, job)
            assert (ended.state, ended.attempt) == ("SUCCEEDED", 1)
            assert queueing.attempt_of(state, job).worker == worker
            assert queueing.text_of(state, job) == "before"
        finally:
            processes.end_all(state)


@pytest.mark.promise
@pytest.mark.fuse
def test_a_second_look_through_fuse_is_refused(
    tmp_path: Path, until: Until, ktjob_command: list[str]
) -> None:
    """FUSE does not share locks: a process that looks there would take itself for the last user of
    the database, and remove the log that the others write to. Nothing is opened or removed."""
    gate = tmp_path / "gate"
    with fuse_disk.mounted(tmp_path) as disk:
        state = StateDir(tmp_path / "backing" / "state").create()
        try:
            job = begun(state, until, gate)
            log = state.database.with_name("ktjob.db-wal").stat().st_ino
            env = {**os.environ, "KTJOB_HOME": str(disk.path / "state")}
            for words in (["status"], ["list"], ["show", job.id], ["adopt"], ["cancel", job.id]):
                command = [*ktjob_command, *words]
                done = subprocess.run(command, env=env, capture_output=True, text=True)
                assert done.returncode == 1 and "is on a FUSE filesystem" in done.stderr, done
            assert state.database.with_name("ktjob.db-wal").stat().st_ino == log
            gate.touch()
            until(queueing.ended(state, job))
            assert queueing.text_of(state, job) == "before"
        finally:
            processes.end_all(state)


@pytest.mark.promise
@pytest.mark.parametrize("ends", [["-wal", "-shm"], ["-wal"], ["-shm"]])
def test_removed_files_of_the_database_cost_neither_jobs_nor_text(
    state: StateDir, until: Until, tmp_path: Path, ends: list[str]
) -> None:
    """`rm ktjob.db-wal ktjob.db-shm` while two jobs run: their workers close the removed files and
    open new ones, a submit meanwhile waits for that, and all is stored."""
    gate = tmp_path / "gate"
    jobs = [
        queueing.submit(state, pool, say="be", until=str(gate), then="fore", attempts=2)
        for pool in ("one", "two")
    ]
    until(lambda: [queueing.text_of(state, job) for job in jobs] == ["be", "be"])
    workers = [worker_of(state, job) for job in jobs]
    for end in ends:
        state.database.with_name(state.database.name + end).unlink()
    third = queueing.submit(state, "one", say="third")
    gate.touch()
    until(queueing.ended(state, third))
    until(lambda: all(queueing.look(state, job).status is Status.FINISHED for job in jobs))
    assert [queueing.look(state, job).state for job in jobs] == ["SUCCEEDED"] * 2
    assert [queueing.attempt_of(state, job).worker for job in jobs] == workers
    assert [queueing.text_of(state, job) for job in (*jobs, third)] == ["before", "before", "third"]
    with Upkeep.open(state) as upkeep:
        assert upkeep.problems() == []


def test_a_reader_between_removed_and_new_files_costs_no_rows(
    state: StateDir,
) -> None:
    """SQLite writes what -wal holds into the database when its last user closes it, but not while
    anybody else reads. So a database browser that is opened after `rm` would cost all of it."""
    with Store.open(state) as store:
        first = queueing.put(state, say="first")
        for end in ("-wal", "-shm"):
            state.database.with_name(state.database.name + end).unlink()
        browser = subprocess.Popen(
            [sys.executable, "-c", KEEPER, str(state.database)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert browser.stdout is not None and browser.stdout.readline() == "open\n"
        assert store.job(first.id).title == "title"
        assert queueing.sql(state, "SELECT id FROM jobs") == [(first.id,)]
        browser.communicate()


KEEPER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM jobs").fetchone()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.promise
def test_a_process_that_keeps_removed_files_open_is_named(
    state: StateDir, monkeypatch: pytest.MonkeyPatch, ktjob_command: list[str]
) -> None:
    """A database browser that does not notice: nothing is stored beside it, and its pid is said.
    Once it has closed them, all is there again."""
    queueing.put(state, say="first")
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(state.database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert keeper.stdout is not None and keeper.stdout.readline() == "open\n"
    for end in ("-wal", "-shm"):
        state.database.with_name(state.database.name + end).unlink()
    monkeypatch.setattr(open_files, "WAIT_SECONDS", 0.1)
    with pytest.raises(StoreTorn, match=f"process {keeper.pid}"):
        queueing.put(state, say="second")
    done = subprocess.run([*ktjob_command, "doctor"], capture_output=True, text=True)
    assert done.returncode == 1 and f"process {keeper.pid}" in done.stdout + done.stderr
    keeper.communicate()
    queueing.put(state, say="second")
    assert len(queueing.sql(state, "SELECT id FROM jobs")) == 2


@pytest.mark.promise
def test_a_backup_that_is_put_back_under_a_running_job_gets_its_end(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """Taken in mid-request and put in place while the job still runs: the worker goes on in it, and
    writes what it lacks. One attempt. A backup from before the job stays without it."""
    queueing.put(state, "other", say="x", until=str(tmp_path / "never"))
    with Upkeep.open(state) as upkeep:
        upkeep.backup(tmp_path / "early.db")
    gate, later = tmp_path / "gate", tmp_path / "later"
    job = queueing.submit(state, say="be", until=str(gate), then="fore", attempts=2)
    until(lambda: queueing.text_of(state, job) == "be")
    with Upkeep.open(state) as upkeep:
        upkeep.backup(tmp_path / "copy.db")
    queueing.sql_of(tmp_path / "copy.db", "DELETE FROM pieces")
    put_in_place(state, tmp_path / "early.db", tmp_path / "aside")
    put_in_place(state, tmp_path / "copy.db", later)
    until(lambda: queueing.text_of(state, job) == "be")
    gate.touch()
    until(queueing.ended(state, job))
    ended = queueing.look(state, job)
    assert (ended.state, ended.attempt) == ("SUCCEEDED", 1)
    assert queueing.text_of(state, job) == "before"


@pytest.mark.promise
def test_the_text_of_a_job_whose_database_never_comes_back_is_in_its_log(
    state: StateDir, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removed files that another program has replaced by its own: the worker looks again for an
    hour (here: three seconds), damages nothing, and leaves the answer where it can be found."""
    monkeypatch.setenv("PYTHONPATH", f"{queueing.SUPPORT / 'killing'}:{queueing.SUPPORT}")
    monkeypatch.setenv("KTJOB_CONSTANTS", "jobs.store.outage.SECONDS=3")
    gate = tmp_path / "gate"
    job = begun(state, until, gate)
    worker = worker_of(state, job)
    for path in state.root.glob("ktjob.db*"):
        path.rename(tmp_path / path.name)
    with Store.open(state):  # another queue
        pass
    for path in tmp_path.glob("ktjob.db-*"):
        path.unlink()
    gate.touch()
    until(lambda: not identity.is_same_process_alive(worker))
    assert "before" in state.job_log(job.id).read_text()
    with Upkeep.open(state) as upkeep:
        assert upkeep.newest(9) == [] and upkeep.problems() == []


def put_in_place(state: StateDir, backup: Path, aside: Path) -> None:
    """As docs/reference.md says, only too early."""
    aside.mkdir()
    for path in state.root.glob("ktjob.db*"):
        path.rename(aside / path.name)
    backup.rename(state.database)


def test_a_store_opens_again_where_its_files_were_put_back(state: StateDir, tmp_path: Path) -> None:
    """A copy of the same store in its place, as a disk that came back: the next use opens that one.
    Another queue there is not used."""
    store = Store.open(state)
    first = store.submit(NewJob("pool", "{}", b"text", "title"), Capacity(slots=1))
    opened: list[str] = []
    store.on_reopened = lambda: opened.append("again")
    with Upkeep.open(state) as upkeep:
        upkeep.backup(tmp_path / "copy.db")
    aside = tmp_path / "aside"
    aside.mkdir()
    for path in state.root.glob("ktjob.db*"):
        path.rename(aside / path.name)
    assert store.job(first.id) == first, "the open files still exist"
    shutil.copy(tmp_path / "copy.db", state.database)
    store._is_suspect = True  # as after an I/O error
    assert store.job(first.id) == first and opened == ["again"]
    assert not store.is_gone
    for path in state.root.glob("ktjob.db*"):
        path.unlink()
    with Store.open(state):
        pass
    store._is_suspect = True
    with pytest.raises(StoreUnusable, match="not there any more"):
        store.job(first.id)
    store.close()
