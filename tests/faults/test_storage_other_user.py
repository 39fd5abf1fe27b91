"""One command with sudo: files of root in a user's state directory, and root itself refused."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import another_user, queueing, toy_work

from jobs.errors import DetachFailed, NotYours
from jobs.model import Status
from jobs.processes import identity
from jobs.runner import start
from jobs.runner.loop import Runner
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.upkeep import garbage
from jobs.worker import recovery
from ktclient.cli.jobs import status
from ktclient.doctor import Machine, Severity, storage
from ktclient.records import access, overview

pytestmark = pytest.mark.mount  # needs root too
Until = Callable[..., object]
SPEC = '{"version":1,"task":{"kind":"ask","text":"?"},"server":"http://127.0.0.1:9","model":null,'
SPEC += '"max_tokens":1,"timeout":1.0}'


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Iterator[StateDir]:
    """A user's state directory; its runner and workers are ended afterwards."""
    _ = overview, garbage, status, storage, toy_work  # imported before a user without rights forks
    monkeypatch.setenv("KTJOB_AS_ROOT", "1")
    with another_user.state_dir() as state:
        another_user.call(state.create)
        yield state


@pytest.mark.promise
def test_another_users_lock_file_stops_only_its_job(theirs: StateDir, until: Until) -> None:
    """Root's lock file of a queued job and its doorbell: the other jobs run, and the job, the file
    and the fix are named. After that fix the job runs too."""
    jobs = another_user.call(lambda: [queueing.put(theirs, say=f"job {n}") for n in range(3)])
    lock = theirs.worker_lock(jobs[0].id)
    lock.touch(mode=0o600)
    theirs.doorbell.unlink(missing_ok=True)
    os.mkfifo(theirs.doorbell, 0o600)
    runner = another_user.start(lambda: Runner(theirs, "support.toy_work:perform").run())
    try:
        until(lambda: states(theirs) == ["QUEUED", "SUCCEEDED", "SUCCEEDED"])
        queueing.sql(theirs, "UPDATE jobs SET spec = ?", SPEC)
        lines = another_user.call(lambda: shown(theirs))
        assert f"job {jobs[0].id} waits: {lock} belongs to root" in lines[0]
        assert "sudo chown -R 65534" in lines[0] and "another user's lock" in lines[1]
        finding = another_user.call(lambda: examined(theirs))
        assert finding is not None and finding.severity is Severity.FAIL
        assert finding.cure == f"sudo chown -R 65534 {theirs.root}" and str(lock) in finding.found
        os.chown(lock, another_user.NOBODY, another_user.NOBODY)
        until(lambda: states(theirs) == ["SUCCEEDED"] * 3)
        assert another_user.call(lambda: examined(theirs)) is None
    finally:
        os.kill(runner, signal.SIGKILL)
        os.waitpid(runner, 0)


def states(state: StateDir) -> list[str]:
    with Store.open(state) as store:
        return [job.state for job in reversed(store.newest(9))]


def shown(state: StateDir) -> list[str]:
    with Store.open(state) as store:
        now = overview.read(store, 9)
    return [*status._troubles(state, now), *now.waits.values()]


def examined(state: StateDir) -> object:
    class Settings:
        pass

    settings = Settings()
    settings.state = state  # type: ignore[attr-defined]
    return next(storage.owner(settings, Machine()), None)  # type: ignore[arg-type]


@pytest.mark.promise
def test_a_running_job_whose_lock_belongs_to_another_user_is_judged_by_its_process(
    theirs: StateDir,
) -> None:
    """Never a traceback, and never taken for dead while its worker lives."""
    job = another_user.call(lambda: queueing.put(theirs, say="x"))
    me = identity.mine()

    def claimed() -> list[str]:
        with Store.open(theirs) as store:
            store.claim(job.id, me)
            return [one.id for one in recovery.recover(store, theirs)]

    theirs.worker_lock(job.id).touch(mode=0o600)
    assert another_user.call(claimed) == [job.id]
    with pytest.raises(NotYours, match="chown"):
        another_user.call(lambda: identity.hold(theirs.worker_lock(job.id)))


@pytest.mark.promise
@pytest.mark.parametrize("name", ["runner.lock", "runner.log"])
def test_another_users_file_of_the_runner_is_named_and_looking_goes_on(
    theirs: StateDir, name: str
) -> None:
    """The job is stored, and the warning says which file, whose it is and the fix."""
    job = another_user.call(lambda: queueing.put(theirs, say="x"))
    (theirs.root / name).touch(mode=0o600)

    def looked() -> str:
        with pytest.raises(DetachFailed) as refused:
            start.ensure_runner(theirs, "support.toy_work:perform")
        with access.open_recovered(theirs) as store:
            assert store.job(job.id).state == "QUEUED" and start.stopped_runner(theirs) is None
        return str(refused.value)

    assert f"{theirs.root / name} belongs to root" in another_user.call(looked)


@pytest.mark.promise
def test_root_is_refused_in_a_users_state_directory(
    theirs: StateDir, ktjob_command: list[str]
) -> None:
    """Any command, also the first one, before it leaves a file there; with KTJOB_AS_ROOT=1 it
    works, and what it leaves belongs to the user."""
    env = {**os.environ, "KTJOB_HOME": str(theirs.root)}
    del env["KTJOB_AS_ROOT"]
    another_user.call(lambda: queueing.put(theirs, say="x"))
    before = sorted(theirs.root.rglob("*"))
    for words in (["status"], ["list"], ["submit", "-", "--server", "embedded"], ["doctor"]):
        done = run([*ktjob_command, *words], env)
        assert done.returncode == 1 and "belongs to nobody, and you are root" in (
            done.stdout + done.stderr
        ), done
        assert "Traceback" not in done.stderr
    assert sorted(theirs.root.rglob("*")) == before
    fresh = {**env, "KTJOB_HOME": str(theirs.root.parent / "fresh")}
    assert run([*ktjob_command, "submit", "-", "--server", "embedded"], fresh).returncode == 1
    assert not Path(fresh["KTJOB_HOME"]).exists()
    job = queueing.put(theirs, say="y")
    lock = identity.hold(theirs.worker_lock(job.id))
    assert lock is not None
    lock.release()
    assert {path.lstat().st_uid for path in theirs.root.rglob("*")} == {another_user.NOBODY}
    with Store.open(theirs) as store:
        assert store.job(job.id).status is Status.QUEUED


def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, input="x", capture_output=True, text=True, check=False)


@pytest.mark.promise
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o755])
def test_a_user_is_refused_in_another_users_state_directory(mode: int) -> None:
    """Whatever its mode lets them do: its owner could put any job there. Root's own folder may be
    used if others cannot write to it, and one in it is made private."""
    with another_user.state_dir() as state:
        for owner, words in ((12345, "the user with the id 12345, not to you"), (0, "others can")):
            state.root.mkdir(exist_ok=True)
            state.root.chmod(mode)
            os.chown(state.root, owner, owner)
            if (owner, mode) == (0, 0o755):
                continue
            with pytest.raises(NotYours, match=words):
                another_user.call(state.create)
            if owner:
                with pytest.raises(NotYours, match="KTJOB_HOME"):
                    another_user.call(state.has_database)
            assert list(state.root.iterdir()) == []
