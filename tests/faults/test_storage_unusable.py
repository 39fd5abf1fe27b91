"""A state directory that is read-only, damaged, a file, on a network, shared, or taken away."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import processes, queueing, small_disk

from jobs.errors import KtjobError, NoSuchJob, StoreDamaged, StoreUnusable
from jobs.model import Capacity, NewJob, Outcome, Piece
from jobs.processes import identity
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.system import filesystem
from jobs.upkeep.garbage import Upkeep
from ktclient import Job
from ktclient.cli import exit_codes
from ktclient.cli.ktjob import ktjob

Until = Callable[..., object]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
SPEC = '{"version":1,"task":{"kind":"ask","text":"?"},"server":"http://127.0.0.1:9","model":null,'
SPEC += '"max_tokens":1,"timeout":1.0}'
COMMANDS = [
    ["submit", "{document}", "--server", "embedded"],
    *(["status"], ["status", "{id}"], ["wait", "{id}"], ["result", "{id}"], ["logs", "{id}"]),
    *(["cancel", "{id}"], ["rm", "{id}"], ["gc", "--older-than", "0d"], ["gc"]),
    *(["gc", "--keep-size", "1"], ["backup", "{copy}"], ["doctor"]),
    *(["list"], ["list", "--search", "words"], ["status", "--watch"], ["open", "{id}"]),
]


@pytest.fixture(autouse=True)
def importable_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(queueing.SUPPORT))


@pytest.fixture
def every_command(ktjob_command: list[str], tmp_path: Path) -> Callable[..., None]:
    """Run all commands side by side on a state directory; each must exit with 1, with words that
    hold these, and without a traceback."""
    document = tmp_path / "document.txt"
    document.write_text("some words\n")
    names = {"document": str(document), "copy": str(tmp_path / "copy.db")}

    def run(home: Path, job_id: str, *words: str) -> None:
        env = {**os.environ, "KTJOB_HOME": str(home)}
        started = []
        for command in COMMANDS:
            asked = [word.format(id=job_id, **names) for word in command]
            started.append(
                subprocess.Popen(
                    [*ktjob_command, *asked],
                    env=env,
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
            )
        all_said = [process.communicate()[0] for process in started]
        for command, process, said in zip(COMMANDS, started, all_said, strict=True):
            assert process.returncode == 1, (command, said)
            assert "Traceback" not in said, (command, said)
            assert all(word in said for word in words), (command, said)

    return run


def finished(state: StateDir) -> str:
    with Store.open(state) as store:
        job = store.submit(NewJob("pool", SPEC, b"words " * 5000, "title"), Capacity(slots=1))
        number = store.claim(job.id, identity.mine()).number
        store.append(job.id, number, [Piece(1, "answer", "text " * 2000)])
        store.finish(job.id, number, Outcome.SUCCEEDED, None, None)
    return job.id


@pytest.mark.mount
def test_read_only(tmp_path: Path, every_command: Callable[..., None]) -> None:
    """As after `errors=remount-ro`: every command says so."""
    with small_disk.mounted(tmp_path / "disk") as disk:
        state = StateDir(disk.path / "state").create()
        job_id = finished(state)
        with Store.open(state) as store:  # and one whose worker died
            dead = store.submit(NewJob("pool", SPEC, b"text", "title"), Capacity(slots=1))
            store.claim(dead.id, processes.dead())
        state.worker_lock(dead.id).touch()
        disk.remount("ro")
        every_command(state.root, job_id, "read-only")
        disk.remount("rw")
        with Store.open(state) as store:
            assert store.job(job_id).state == "SUCCEEDED"


def test_a_damaged_database(state: StateDir, every_command: Callable[..., None]) -> None:
    """Every command says so, and doctor too."""
    job_id = finished(state)
    with Upkeep.open(state) as upkeep:
        upkeep.checkpoint()
    body = bytearray(state.database.read_bytes())
    body[100:8192] = os.urandom(8092)
    state.database.write_bytes(body)
    every_command(state.root, job_id, "ktjob.db")


def test_an_emptied_database_is_not_taken_for_a_new_one(
    state: StateDir, every_command: Callable[..., None]
) -> None:
    """As some file systems leave it after a power loss; nor is a good backup replaced by it. One
    that never had a worker is only about to be made."""
    job_id = finished(state)
    for path in state.root.glob("ktjob.db*"):
        path.write_bytes(b"")
    state.runner_log.touch()
    state.worker_lock(job_id).touch()
    every_command(state.root, job_id, "it is empty, although jobs have run here")
    state.worker_lock(job_id).unlink()
    with Store.open(state) as store:
        assert store.newest(1) == []


def test_no_page_can_be_damaged_so_that_we_stumble(state: StateDir) -> None:
    """Whatever is read then is right, or told as damage; never another error."""
    job_id = finished(state)
    with Upkeep.open(state) as upkeep:
        upkeep.checkpoint()
    whole = state.database.read_bytes()
    dice, told = random.Random(7), 0
    for page in range(0, len(whole), 4096):
        body = bytearray(whole)
        if dice.random() < 0.5:
            body[page : page + 4096] = dice.randbytes(4096)
        else:
            for _ in range(40):
                body[page + dice.randrange(4096)] = dice.randrange(256)
        for beside in ("-wal", "-shm"):
            state.database.with_name(state.database.name + beside).unlink(missing_ok=True)
        state.database.write_bytes(body)
        told += _look_at_everything(state, job_id)
    assert told > 5


def test_a_schema_with_bytes_that_are_no_text_is_damage(state: StateDir) -> None:
    """SQLite's message quotes them, and Python cannot read that message."""
    with Upkeep.open(state) as upkeep:
        upkeep.checkpoint()
    body = state.database.read_bytes().replace(b"jobs_by_group", b"jobs_by_gro\xffp")
    state.database.write_bytes(
        body.replace(b"CREATE INDEX jobs_by_gro", b"CREATE INDXX jobs_by_gro")
    )
    with pytest.raises(StoreDamaged, match="bytes that are no text"):
        Upkeep.open(state)
    seen = Upkeep.glance(state)
    assert seen is not None
    with pytest.raises(StoreDamaged, match="bytes that are no text"):
        seen.newest(1)
    seen.close()


def _look_at_everything(state: StateDir, job_id: str) -> bool:
    try:
        with Upkeep.open(state) as upkeep:
            job = upkeep.job(job_id)
            upkeep.newest(5), upkeep.attempts(job_id), upkeep.events(job_id)
            upkeep.pieces(job_id, 1), upkeep.document(job.document), upkeep.holdings()
            upkeep.problems()
            upkeep.submit(NewJob("pool", SPEC, b"more", "title"), Capacity(slots=1))
            upkeep.remove(job_id)
    except KtjobError as error:
        assert str(state.database) in str(error) or job_id in str(error)
        return isinstance(error, StoreDamaged)
    return False


@pytest.mark.parametrize(
    "kind", ["a file", "a dangling link", "below a file", "a folder as ktjob.db"]
)
def test_something_in_the_way(
    kind: str, tmp_path: Path, every_command: Callable[..., None]
) -> None:
    """Named, with the cure."""
    root = tmp_path / "home"
    if kind == "a file":
        root.write_text("in the way")
    elif kind == "a dangling link":
        root.symlink_to(tmp_path / "nowhere")
    elif kind == "below a file":
        root.write_text("in the way")
        root = root / "state"
    else:
        (root / "ktjob.db").mkdir(parents=True)
    with pytest.raises(StoreUnusable, match="KTJOB_HOME") as refused:
        Store.open(StateDir(root))
    assert str(tmp_path / "home") in str(refused.value)
    if kind.endswith("ktjob.db"):
        every_command(root, "k7", "KTJOB_HOME")


@pytest.mark.promise
def test_a_state_directory_that_cannot_be_looked_into(
    tmp_path: Path, ktjob_command: list[str]
) -> None:
    """In another user's folder, a loop of links, a name that is too long: never taken for one that
    is not there yet, and told with the cure."""
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    long = tmp_path / ("n" * 300)
    for root in (tmp_path / "a", long):
        with pytest.raises(StoreUnusable, match="KTJOB_HOME"):
            Store.open_if_any(StateDir(root))
    with _somebody_elses(tmp_path / "theirs") as theirs:
        with pytest.raises(StoreUnusable, match=r"Permission denied.*KTJOB_HOME"):
            Store.open_if_any(StateDir(theirs / "state"))
        with pytest.raises(StoreUnusable, match="Permission denied"):
            Store.open(StateDir(theirs / "state"))
    for command in (["status"], ["gc", "--older-than", "0d"], ["doctor"]):
        env = {**os.environ, "KTJOB_HOME": str(long)}
        done = subprocess.run(
            [*ktjob_command, *command], env=env, capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == 1 and "KTJOB_HOME" in said and "Traceback" not in said
        assert said.count(f"cannot use {long} (") == 1, said


@contextlib.contextmanager
def _somebody_elses(folder: Path) -> Iterator[Path]:
    """A folder that we may not look into; root becomes somebody whom that stops."""
    folder.mkdir(mode=0o000)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)


@pytest.mark.promise
def test_submit_on_a_network_filesystem_is_refused(
    tmp_path: Path, ktjob_command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the whole command: exit code 1, the path and the type named, and nothing made."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / {tmp_path} rw - nfs4 filer:/x rw\n")
    (tmp_path / "sitecustomize.py").write_text(
        "from pathlib import Path; from jobs.system import filesystem\n"
        f"filesystem.MOUNTS = Path({str(mounts)!r})\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = [*ktjob_command, "submit", "-", "--server", "embedded"]
    said = subprocess.run(command, input="words", capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (1, "")
    assert "nfs4" in said.stderr and str(tmp_path / "state") in said.stderr
    assert not (tmp_path / "state").exists()
    assert mounts != filesystem.MOUNTS


@pytest.mark.promise
def test_a_state_directory_taken_away_is_not_made_again_by_its_runner(
    state: StateDir, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old runner and worker leave; one submitted there afterwards has a runner of its own."""
    monkeypatch.setenv("PYTHONPATH", f"{queueing.SUPPORT / 'killing'}:{queueing.SUPPORT}")
    soon = "jobs.runner.runner_lock.DELETED_SECONDS=1,jobs.store.database.REMOVED_SECONDS=1"
    monkeypatch.setenv("KTJOB_CONSTANTS", soon)
    lasting = queueing.submit(state, say="x", until=str(tmp_path / "never"))
    until(queueing.running(state, lasting))
    until(lambda: len(processes.of(state)) == 2)  # the runner and its worker: what began them left
    old = processes.of(state)
    gone = state.root.rename(tmp_path / "gone")  # at once: they may write while it is emptied

    def is_emptied() -> bool:
        shutil.rmtree(gone, ignore_errors=True)
        return not gone.exists()

    until(is_emptied)
    until(lambda: not any(identity.is_same_process_alive(one) for one in old))
    for asked in (["result", "k7"], ["rm", "k7"], ["retry", "k7"], ["wait", "k7"]):
        assert exit_codes.code_of_command(ktjob, "ktjob", asked) == exit_codes.NO_SUCH_JOB
    with pytest.raises(NoSuchJob):
        Job("k7")
    assert not state.root.exists(), "whoever looks makes nothing either"
    state.create()
    job = queueing.submit(state, say="new")
    until(queueing.ended(state, job))
    until(lambda: len(processes.of(state)) == 1)  # its worker notes the end, then leaves


@pytest.mark.promise
@pytest.mark.parametrize(
    "name", ["runner.lock", "workers/{id}.lock", "runner.log", "logs/{id}.log", "workers", "logs"]
)
@pytest.mark.parametrize("how", ["removed", "no permission"])
def test_files_of_ours_that_a_cleaner_or_a_chmod_took_are_made_again(
    state: StateDir, until: Until, name: str, how: str
) -> None:
    """While a job waits: it runs, and no command has a traceback."""
    job = queueing.put(state, say="x")
    path = state.root / name.format(id=job.id)
    if "." in path.name:
        path.touch()
    if how == "no permission":
        path.chmod(0o000)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    start.ensure_runner(state, queueing.WORK)
    until(queueing.ended(state, job))
    assert queueing.look(state, job).state == "SUCCEEDED"


def test_a_database_that_another_program_took_out_of_wal_mode_is_put_back(state: StateDir) -> None:
    """`PRAGMA journal_mode = DELETE`, by hand."""
    queueing.put(state, say="x")
    assert queueing.sql(state, "PRAGMA journal_mode = DELETE") == [("delete",)]
    with Store.open(state):
        assert queueing.sql(state, "PRAGMA journal_mode") == [("wal",)]


@pytest.mark.promise
def test_two_state_directories_share_nothing(state: StateDir, until: Until, tmp_path: Path) -> None:
    """Each has a runner of its own, and a pool that is full in one is free in the other."""
    other = StateDir(tmp_path / "other").create()
    try:
        first = queueing.submit(state, until=str(tmp_path / "never"))
        second = queueing.submit(other, say="done")
        until(queueing.running(state, first))
        until(queueing.ended(other, second))
        assert len({r for s in (state, other) if (r := identity.holder(s.runner_lock))}) == 2
        assert queueing.sql(state, "SELECT id FROM jobs") == [(first.id,)]
        assert queueing.sql(other, "SELECT id FROM jobs") == [(second.id,)]
    finally:
        processes.end_all(other)


def test_a_state_directory_through_a_link_is_the_same(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """One runner, one queue, the same locks."""
    link = StateDir(tmp_path / "link")
    link.root.symlink_to(state.root)
    first = queueing.submit(state, until=str(tmp_path / "gate"))
    until(queueing.running(state, first))
    second = queueing.submit(link, say="behind")
    assert start.is_runner_alive(link)
    command = [sys.executable, "-m", "jobs.runner", str(link.root), queueing.WORK]
    rival = subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
    assert rival.returncode == 0, "a second runner would not have left"
    (tmp_path / "gate").touch()
    until(queueing.ended(link, second))
    assert queueing.look(state, first).attempt == queueing.look(link, second).attempt == 1
