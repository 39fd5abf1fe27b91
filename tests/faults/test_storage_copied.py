"""A copy of a state directory that somebody looks at, moves, restores or adopts: the original's
requests are left alone, and nothing is sent twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support import processes, queueing

from jobs.errors import IllegalTransition, StoreCopied
from jobs.model import Status
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.system import machine
from jobs.upkeep import adoption
from jobs.upkeep.garbage import Upkeep
from jobs.worker import recovery
from ktclient import Job, submit_long

Until = Callable[..., object]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
LOOKS = (
    *(["list"], ["status"], ["status", "{id}"], ["show", "{id}"], ["logs", "{id}"]),
    *(["events"], ["doctor"], ["result", "{id}"], ["backup", "{home}/again.db"]),
)
CHANGES = (
    *(["cancel", "{id}"], ["wait", "{id}"], ["follow", "{id}"], ["gc", "--older-than", "0d"]),
    ["submit", "{home}/../document.txt", "--server", "{server}"],
)


@pytest.fixture(autouse=True)
def importable_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(queueing.SUPPORT))


@pytest.fixture
def run_in(ktjob_command: list[str]) -> Run:
    def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "KTJOB_HOME": str(home)}
        return subprocess.run([*ktjob_command, *words], env=env, capture_output=True, text=True)

    return run


def copied(state: StateDir, root: Path) -> StateDir:
    """By `ktjob backup`, put into a folder of its own."""
    copy = StateDir(root).create()
    with Upkeep.open(state) as database:
        database.backup(copy.database)
    return copy


def filled(words: list[str], job: Job, home: Path, server: str) -> list[str]:
    return [word.format(id=job.id, home=home, server=server) for word in words]


@pytest.mark.promise
def test_looking_at_a_copy_starts_nothing_and_ends_nothing(
    state: StateDir, tmp_path: Path, run_in: Run
) -> None:
    """Three jobs, copied in mid-prefill: three requests, three answers, whatever is looked at."""
    (tmp_path / "document.txt").write_text("words")
    options = ("--flavour", "kt", "--answer", "Whole.")
    with fake_sglang(tmp_path, *options) as server:
        server.hold()
        jobs = [submit_long(f"{n} " + "x" * 9000, server=server.url) for n in range(3)]
        server.wait_for_event("prefill_started")
        copy = copied(state, tmp_path / "copy")
        for words in LOOKS:
            done = run_in(copy.root, *filled(words, jobs[0], copy.root, server.url))
            assert "Traceback" not in done.stderr and done.returncode in (0, 5), (words, done)
            assert f"is a copy of {state.database}" in done.stderr or words[0] in (
                "doctor",
                "backup",
            ), (words, done.stderr)
        for words in CHANGES:
            done = run_in(copy.root, *filled(words, jobs[0], copy.root, server.url))
            assert done.returncode == 1, (words, done)
            assert "is a copy of" in done.stderr and "ktjob adopt" in done.stderr
        assert processes.of(copy) == []
        server.let_go()
        assert [job.result() for job in jobs] == ["Whole."] * 3
        assert len(server.requests()) == 3 and server.events("abort") == []
        assert [job.status().attempt for job in jobs] == [1, 1, 1]


@pytest.mark.promise
def test_a_copy_is_adopted_only_once_its_original_does_nothing(
    state: StateDir, until: Until, tmp_path: Path, run_in: Run
) -> None:
    """Refused while a job runs from the original, and while it has jobs that wait; afterwards the
    copy has an id of its own, and its queue runs."""
    gate = tmp_path / "gate"
    first = queueing.submit(state, until=str(gate))
    until(queueing.running(state, first))
    queueing.put(state, say="second")
    copy = copied(state, tmp_path / "copy")
    try:
        done = run_in(copy.root, "adopt")
        assert (
            done.returncode == 1 and f"job {first.id} still runs from the original" in done.stderr
        )
        processes.end_all(state)
        done = run_in(copy.root, "adopt")
        assert done.returncode == 1 and "2 jobs that have not ended" in done.stderr
        with pytest.raises(IllegalTransition, match="--although-original"):
            adoption.adopt(copy)
        adopted = adoption.adopt(copy, although_original=True)
        assert adopted is not None and (adopted.queued, adopted.running) == (1, 1)
        assert adoption.adopt(copy) is None, "it is no copy any more"
        with Store.open(copy) as here, Store.open(state) as there:
            ids = [one.recorded_place() for one in (here, there)]
            assert None not in ids and ids[0].store != ids[1].store  # type: ignore[union-attr]
        start.ensure_runner(copy, queueing.WORK)
        until(lambda: all(job.status is Status.FINISHED for job in newest(copy)))
        assert [job.state for job in newest(copy)] == ["SUCCEEDED", "LOST"]
    finally:
        processes.end_all(copy)


def newest(state: StateDir) -> list[queueing.Job]:
    with Store.open(state) as store:
        return store.newest(9)


def test_a_state_directory_that_was_moved_goes_on(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """`mv` to another name while a job runs: the same file, so the same queue."""
    gate = tmp_path / "gate"
    job = queueing.submit(state, say="be", until=str(gate), then="fore")
    until(lambda: queueing.text_of(state, job) == "be")
    moved = StateDir(state.root.rename(tmp_path / "moved"))
    try:
        second = queueing.submit(moved, say="second")
        gate.touch()
        until(queueing.ended(moved, second))
        assert queueing.text_of(moved, job) == "before"
        assert (queueing.look(moved, job).state, queueing.look(moved, job).attempt) == (
            "SUCCEEDED",
            1,
        )
    finally:
        processes.end_all(moved)


def test_a_copy_of_the_whole_folder_is_a_copy(
    state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also at the same path on another machine. Put back where it was, it is the store."""
    queueing.put(state, say="x")
    shutil.copytree(state.root, tmp_path / "copy")
    copy = StateDir(tmp_path / "copy")
    with pytest.raises(StoreCopied, match=str(state.database)):
        Store.open(copy)
    shutil.rmtree(state.root)
    with pytest.raises(StoreCopied):
        Store.open(copy)
    # A new inode number is certain only while the first file of that name exists.
    (tmp_path / "kept").mkdir()
    shutil.copytree(copy.root, state.root)
    Store.open(state).close()
    monkeypatch.setattr(machine, "machine_id", lambda: "another")
    Store.open(state).close()
    for path in state.root.glob("ktjob.db*"):
        path.rename(tmp_path / "kept" / path.name)
    shutil.copy(copy.database, state.database)
    with pytest.raises(StoreCopied):
        Store.open(state)


@pytest.mark.promise
def test_a_queue_that_was_moved_to_another_disk_behind_a_link_goes_on(
    state: StateDir, until: Until, tmp_path: Path, run_in: Run
) -> None:
    """`mv` to a disk with more room and a link in its place, in mid-request: the files are deleted
    here and others there. The worker writes into those, and the runner serves the link."""
    gate, disk = tmp_path / "gate", tmp_path / "disk"
    job = queueing.submit(state, say="be", until=str(gate), then="fore", attempts=2)
    until(lambda: queueing.text_of(state, job) == "be")
    queueing.put(state, say="second")
    shutil.copytree(state.root, disk, ignore=shutil.ignore_patterns("doorbell"))
    shutil.rmtree(state.root)
    state.root.symlink_to(disk)
    gate.touch()
    until(lambda: all(one.status is Status.FINISHED for one in newest(state)))
    ended = queueing.look(state, job)
    assert (ended.state, ended.attempt) == ("SUCCEEDED", 1)
    assert queueing.text_of(state, job) == "before"
    assert "is a copy" not in run_in(state.root, "doctor").stdout


def test_a_hard_link_to_the_database_is_refused(
    state: StateDir, until: Until, tmp_path: Path, run_in: Run
) -> None:
    """`cp -al`, as for a snapshot: any command there is refused in words, the original goes on."""
    job = queueing.put(state, say="x")
    linked = StateDir(tmp_path / "linked").create()
    with Upkeep.open(state) as database:
        database.checkpoint()
    for path in state.root.glob("ktjob.db*"):
        os.link(path, linked.root / path.name)
    for words in (["status"], ["list"], ["doctor"], ["cancel", job.id]):
        done = run_in(linked.root, *words)
        assert done.returncode == 1 and "is a hard link to" in done.stdout + done.stderr, done
    start.ensure_runner(state, queueing.WORK)
    until(queueing.ended(state, job))


@pytest.mark.promise
@pytest.mark.mount
def test_a_worker_of_another_pid_namespace_is_not_called_dead(
    state: StateDir, until: Until, tmp_path: Path, ktjob_command: list[str]
) -> None:
    """A container with the same state directory cannot see the worker, and a cleaner has removed
    its lock file. Nor does the host call a container's worker dead, until it has ended."""
    gate = tmp_path / "gate"
    job = queueing.submit(state, say="be", until=str(gate), then="fore", attempts=2)
    until(lambda: queueing.text_of(state, job) == "be")
    queueing.sql(state, "UPDATE jobs SET spec = ?", SPEC)
    container = ["unshare", "--pid", "--mount-proc", "--fork"]
    look = [*container, *ktjob_command, "list", "--json"]
    for lock in state.root.glob("workers/*.lock"):
        lock.unlink()
    seen = subprocess.run(look, capture_output=True, text=True, check=True)
    assert json.loads(seen.stdout)[0]["state"] == "RUNNING"
    assert queueing.look(state, job).attempt == 1
    gate.touch()
    until(queueing.ended(state, job))
    assert queueing.look(state, job).state == "SUCCEEDED"

    claim = [*container, sys.executable, "-c", CLAIM, str(state.root)]
    process = subprocess.Popen(claim, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    other = process.stdout.readline().strip()
    with Store.open(state) as store:
        assert [one.id for one in recovery.recover(store, state)] == [other]
        process.communicate()
        assert recovery.recover(store, state) == []


SPEC = '{"version":1,"task":{"kind":"ask","text":"?"},"server":"http://127.0.0.1:9","model":null,'
SPEC += '"max_tokens":1,"timeout":1.0}'
CLAIM = """
import pathlib, sys
from jobs.model import Capacity, NewJob
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
with Store.open(StateDir(pathlib.Path(sys.argv[1]))) as store:
    job = store.submit(NewJob("other", "{}", b"text", "title"), Capacity(slots=1))
    store.claim(job.id, identity.mine())
    print(job.id, flush=True)
    sys.stdin.read()
"""


@pytest.mark.promise
def test_a_live_worker_without_its_lock_file_is_not_taken_for_dead(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """`rm workers/*.lock runner.lock` in mid-request: one attempt, one runner in the end, and the
    next job has its turn."""
    gate = tmp_path / "gate"
    job = queueing.submit(state, say="be", until=str(gate), then="fore", attempts=2)
    until(lambda: queueing.text_of(state, job) == "be")
    for lock in [*state.root.glob("workers/*.lock"), state.runner_lock]:
        lock.unlink()
    second = queueing.submit(state, say="second")
    for _ in range(20):
        assert queueing.look(state, job).status is Status.RUNNING
        with Store.open(state) as store:
            assert [one.id for one in recovery.recover(store, state)] == [job.id]
    gate.touch()
    until(queueing.ended(state, second))
    ended = queueing.look(state, job)
    assert (ended.state, ended.attempt) == ("SUCCEEDED", 1)
    assert queueing.text_of(state, job) == "before"
    until(lambda: len(processes.of(state)) == 1)
