"""A key that only the submitting command's environment holds reaches the worker, whoever started
the runner, and is in no store, log or environment of ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support import standing_still

from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job
from ktclient.config import settings as config
from ktclient.records import access

Until = Callable[..., object]
KEY = "sk-only-here"
KILLING = Path(__file__).parents[1] / "support" / "killing"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    options = ("--require-key", KEY, "--prefill-seconds", "1", "--flavour", "upstream")
    with fake_sglang(tmp_path, *options, "--answer", "Let in.") as server:
        yield server


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that lets no job rest, and leaves at the first look that finds nothing to do: as one
    that was stopped for longer than it may idle."""
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    constants = "jobs.runner.loop.IDLE_SECONDS=0,jobs.runner.loop.TICK_SECONDS=0.1"
    monkeypatch.setenv("KTJOB_CONSTANTS", f"{constants},jobs.runner.loop.REST_SECONDS=0.05")


def ktjob(*words: str, **environment: str) -> str:
    command = [sys.executable, "-m", "ktclient", *words]
    env = {**os.environ, **environment}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def submit(server: FakeServer, tmp_path: Path, **environment: str) -> Job:
    document = tmp_path / "book.txt"
    document.write_text("It was a dark night. " * 100)
    return Job(ktjob("submit", str(document), "--server", server.url, **environment))


def holders(root: Path) -> list[Path]:
    """Files that hold the key."""
    return [p for p in root.rglob("*") if p.is_file() and KEY.encode() in p.read_bytes()]


@pytest.mark.promise
def test_through_runners_that_do_not_have_it(
    state: StateDir, server: FakeServer, tmp_path: Path, until: Until, hasty: None
) -> None:
    """The first was started before by a command without it; it and the worker are killed, and
    another command without it starts the next. When nothing is left to do the key is forgotten."""
    access.ensure_runner(state)
    server.hold()
    job = submit(server, tmp_path, KTJOB_API_KEY=KEY)
    server.wait_for_event("prefill_started")
    (lent,) = holders(state.root)
    assert lent.parent == state.lent_keys and lent.stat().st_mode & 0o777 == 0o600
    with Store.open(state) as store:
        attempt = store.attempt(store.job(job.id))
    runner = identity.holder(state.runner_lock)
    assert attempt is not None and runner is not None
    for one in (runner, attempt.worker):
        assert KEY.encode() not in Path(f"/proc/{one.pid}/environ").read_bytes()
        os.kill(one.pid, signal.SIGKILL)
    server.let_go()
    ktjob("status")
    assert job.result() == "Let in."
    assert job.status().attempt == 2
    until(lambda: not holders(state.root))


def test_a_retry_brings_it_again(state: StateDir, server: FakeServer, tmp_path: Path) -> None:
    """A key that was wrong is mended by the command that asks once more."""
    access.ensure_runner(state)  # a runner without a key
    runner = identity.holder(state.runner_lock)
    assert runner is not None
    standing_still.stop(state, runner)  # so that nobody reads the key before it is wrong
    refused = submit(server, tmp_path, KTJOB_API_KEY=KEY)
    (lent,) = holders(state.root)
    lent.write_text("sk-of-yesterday")
    os.kill(runner.pid, signal.SIGCONT)
    refused.wait()
    assert refused.status().cause == "unauthorized"
    again = Job(ktjob("retry", refused.id, KTJOB_API_KEY=KEY))
    assert again.result() == "Let in."


CONFIG = """
[server]
api_key_env = "DEFAULT_KEY"
[servers.box]
url = "http://box:1"
api_key_env = "BOX_KEY"
[servers.safe]
url = "http://safe:1"
api_key_file = "/keys/safe"
"""


def test_only_what_the_environment_holds_is_lent(tmp_path: Path) -> None:
    """A file or a keyring is read by each worker anew; a variable that is not set here is no error
    before a key is needed."""
    said = {"KTJOB_HOME": str(tmp_path), "BOX_KEY": "b", "KTJOB_API_KEY": "k"}
    settings = config.load(said, CONFIG)
    assert settings.borrowed_key("http://box:1") == "b"
    assert settings.borrowed_key("http://safe:1") is None
    assert settings.borrowed_key("http://127.0.0.1:40001") == "k"
    assert settings.borrowed_key(config.EMBEDDED) is None
    elsewhere = config.load({"KTJOB_HOME": str(tmp_path)}, CONFIG, lent="b")
    assert elsewhere.key_for("http://box:1") == "b"
    assert config.load({"KTJOB_HOME": str(tmp_path)}, CONFIG).servers.keys() == {"box", "safe"}


def test_the_record_of_a_job_never_has_it(
    state: StateDir, server: FakeServer, tmp_path: Path
) -> None:
    """Nor has what is shown."""
    job = submit(server, tmp_path, KTJOB_API_KEY=KEY)
    job.result()
    assert KEY not in json.dumps(job.status().to_dict()) + ktjob("show", job.id)
