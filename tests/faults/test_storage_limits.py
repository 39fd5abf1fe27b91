"""Room on the disk, and still nothing can be written: no inodes, a quota, a limit on file sizes.

Each is named as what it is, with what to do, and costs no job and no text.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support import processes, queueing, small_disk
from support.small_disk import SmallDisk

from jobs.model import Capacity, NewJob, Outcome, Piece
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

Until = Callable[..., object]
Said = "subprocess.CompletedProcess[str]"
SPEC = '{"version":1,"task":{"kind":"ask","text":"?"},"server":"http://127.0.0.1:9","model":null,'
SPEC += '"max_tokens":1,"timeout":1.0}'
INODES = "has no inodes left (`df -i`)"
SIZE = "limit on file sizes, {:,} bytes (`ulimit -f`)"
QUOTA = "your quota on its disk is used up (`quota -s`)"
ANSWER = "word " * 40_000


def command(*words: str, under: tuple[str, ...] = (), **env: str) -> Said:
    """A `ktjob` command, started by `under`. No traceback, and killed by nothing."""
    said = subprocess.run(
        [*under, sys.executable, "-m", "ktclient", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
    )
    assert "Traceback" not in said.stderr, said.stderr
    assert said.returncode >= 0, said.returncode
    return said


def fsize(limit: int) -> tuple[str, ...]:
    return ("prlimit", f"--fsize={limit}")


@pytest.fixture
def few(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk with room for megabytes, and for eleven files."""
    with small_disk.mounted(tmp_path / "disk", inodes=11) as disk:
        yield disk
        processes.end_all(StateDir(disk.path / "state"))


@pytest.mark.mount
@pytest.mark.parametrize("inodes", [5, 9, 11, 13, 15])
def test_without_inodes_nothing_is_stored_or_the_job_runs_when_there_are_some(
    few: SmallDisk, tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch, inodes: int
) -> None:
    """Wherever they end: at the state directory, its database, the runner, the worker."""
    few.allow_files(inodes)
    state = StateDir(few.path / "state")
    monkeypatch.setenv("KTJOB_HOME", str(state.root))
    document = tmp_path / "a.txt"
    document.write_text("A story.")
    with fake_sglang(tmp_path, "--answer", "Well.") as server:
        said = command("submit", str(document), "--server", server.url)
        stored = said.stdout.split()
        assert said.returncode == (0 if stored else 1), said.stderr
        if stored:
            until(lambda: INODES in said.stderr + _logs(state))
        else:
            assert INODES in said.stderr
        few.allow_files(1000)
        listed = command("list", "--json").stdout
        assert all(job_id in listed for job_id in stored)
        for job_id in stored:
            assert command("wait", job_id).returncode == 0
        assert len(server.requests()) == len(stored)
    assert "Traceback" not in _logs(state)


def _logs(state: StateDir) -> str:
    paths = (state.runner_log, *state.root.glob("logs/*.log"))
    return "".join(path.read_text() for path in paths if path.exists())


@pytest.fixture
def answered(state: StateDir) -> str:
    """The id of a job with a long answer."""
    new = NewJob("pool", SPEC, b"text", "title")
    with Store.open(state) as store:
        job = store.submit(new, Capacity(slots=1))
        store.claim(job.id, identity.mine())
        store.append(job.id, 1, [Piece(1, "answer", ANSWER)])
        store.finish(job.id, 1, Outcome.SUCCEEDED, None, None)
    return job.id


@pytest.mark.mount
def test_a_copy_or_an_answer_that_finds_no_inode(few: SmallDisk, answered: str) -> None:
    few.allow_files(1)
    for words in (("backup", f"{few.path}/b"), ("result", answered, "-o", f"{few.path}/r")):
        said = command(*words)
        assert said.returncode and INODES in said.stderr, said.stderr
        assert f"cannot write {'the backup ' * (words[0] == 'backup')}{few.path}" in said.stderr
    assert list(few.path.iterdir()) == []


@pytest.mark.promise
def test_a_file_that_may_not_grow_is_named_with_its_limit(
    state: StateDir, answered: str, tmp_path: Path
) -> None:
    """By submit, by a copy, by an answer in a file and on stdout. SIGXFSZ kills none."""
    document = tmp_path / "long.txt"
    document.write_text("word " * 100_000)
    copy, answer = tmp_path / "copy.db", tmp_path / "answer.txt"
    with fake_sglang(tmp_path) as server:
        commands = (
            ("submit", str(document), "--server", server.url),
            ("backup", str(copy)),
            ("result", answered, "-o", str(answer)),
        )
        for limit, words in itertools.product((0, 4096, 40_000, 100_000), commands):
            said = command(*words, under=fsize(limit))
            assert (said.returncode, said.stdout) in ((1, ""), (2, "")), said.stderr
            assert SIZE.format(limit) in said.stderr and "ulimit -f unlimited" in said.stderr
    for limit in (40_000, 100_000):
        with (tmp_path / "out").open("w") as out:
            whole = [*fsize(limit), sys.executable, "-m", "ktclient", "result", answered]
            said = subprocess.run(whole, stdout=out, stderr=subprocess.PIPE, text=True)
        assert said.returncode == 1 and "Jobs are not affected" in said.stderr
        assert SIZE.format(limit) in said.stderr and "Traceback" not in said.stderr
    assert not copy.exists() and not answer.exists()
    assert not list(tmp_path.glob(".*")), "drafts were left"
    with Store.open(state) as store:
        assert [job.id for job in store.newest(9)] == [answered]


@pytest.mark.promise
def test_running_work_outlives_a_limit_on_file_sizes(
    state: StateDir, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text waits in memory, the log names the limit and its cure, and the cure works on the
    running process."""
    monkeypatch.setenv("PYTHONPATH", str(queueing.SUPPORT))
    gate = tmp_path / "gate"
    job = queueing.submit(state, say="before ", until=str(gate), then=ANSWER)
    until(lambda: queueing.text_of(state, job) == "before ")
    worker = queueing.attempt_of(state, job).worker
    limit = 10_000
    with state.job_log(job.id).open("a") as log:
        assert log.tell() < limit // 2, "no room for what the worker says"
    soft = f"--fsize={limit}:"  # what a process may not exceed, and may be raised again
    subprocess.run(["prlimit", soft, f"--pid={worker.pid}"], check=True)
    gate.touch()
    until(lambda: SIZE.format(limit) in state.job_log(job.id).read_text())
    cure = f"prlimit --fsize=unlimited --pid {worker.pid}"
    assert cure in state.job_log(job.id).read_text()
    assert identity.is_same_process_alive(worker)
    subprocess.run(cure.split(), check=True)
    until(queueing.ended(state, job))
    end = queueing.look(state, job)
    assert (end.state, end.attempt) == ("SUCCEEDED", 1)
    assert queueing.text_of(state, job) == f"before {ANSWER}"


@pytest.mark.promise
def test_a_used_up_quota_is_named(state: StateDir, answered: str, tmp_path: Path) -> None:
    """Which SQLite calls an I/O error, for which a disk would have to be looked at."""
    document = tmp_path / "a.txt"
    document.write_text("A story.")
    over = {"KTJOB_OVER_QUOTA": "1", "PYTHONPATH": str(queueing.SUPPORT / "over_quota")}
    for words in (
        ("submit", str(document), "--server", "embedded"),
        ("backup", str(tmp_path / "copy.db")),
    ):
        said = command(*words, **over)
        assert (said.returncode, said.stdout) == (1, ""), said.stderr
        assert QUOTA in said.stderr and "a larger quota" in said.stderr
    with Store.open(state) as store:
        assert [job.id for job in store.newest(9)] == [answered]


def test_a_runner_that_cannot_write_its_lock_says_why_and_exits(
    state: StateDir, tmp_path: Path
) -> None:
    """In one line, which the command that wanted it passes on."""
    state.runner_lock.mkdir()
    argv = [sys.executable, "-m", "jobs.runner", str(state.root), "toy_work:perform"]
    said = subprocess.run(argv, capture_output=True, text=True)
    assert said.returncode == 1 and "Traceback" not in said.stderr
    assert "exits: cannot use" in said.stderr and "it is a folder" in said.stderr
