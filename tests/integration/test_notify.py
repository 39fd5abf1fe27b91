"""Telling how a job ended: real commands, a real endpoint on loopback, real kills."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support import processes
from support.served import served

from jobs.model import Capacity, Event, NewJob
from jobs.processes import identity
from jobs.store import outbox
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, submit_long
from ktclient.config import settings as config
from ktclient.errors import BadInput

SECRET = "hunter2-very-secret"
Until = Callable[..., object]
Hurry = Callable[..., None]


class Endpoint(ThreadingHTTPServer):
    """Takes notifications; refuses the first so many."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusals = 0
        self.tries = 0
        self.heard: list[dict[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.tries += 1
        is_refused = self.server.tries <= self.server.refusals
        if not is_refused:
            self.server.heard.append(json.loads(body))
        self.send_response(503 if is_refused else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    """Configured as `phone`, with a password in its address."""
    with served(Endpoint()) as server:
        folder = tmp_path / "config"
        folder.mkdir()
        address = f"json://user:{SECRET}@127.0.0.1:{server.server_port}/hook"
        (folder / "config.toml").write_text(f'[notify]\nphone = "{address}"\n')
        yield server


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path, "--answer", "Well.") as server:
        monkeypatch.setenv("KTJOB_SERVER", server.url)
        yield server


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Seconds of the outbox as given, in the runner and its children."""

    def hurry(**seconds: float) -> None:
        folder = str(Path(__file__).parents[1] / "support" / "pacing")
        monkeypatch.setenv("PYTHONPATH", folder)
        settings = ",".join(
            f"jobs.store.{name.replace('__', ':')}={s}" for name, s in seconds.items()
        )
        monkeypatch.setenv("KTJOB_PACE", settings)

    return hurry


def events(state: StateDir, job: Job, kind: str) -> list[Event]:
    with Store.open(state) as store:
        return [event for event in store.events(job.id) if event.kind == kind]


def test_a_command_knows_the_job_and_has_its_answer(
    scripted: FakeServer,
    state: StateDir,
    tmp_path: Path,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the folder of the submit; the file is ours alone, and gone afterwards; no key is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KTJOB_API_KEY", SECRET)
    command = 'env > env.txt; cp -p "$KTJOB_RESULT" answer.txt; echo it ran'
    job = submit_long("A story.", on_done=command, label="nightly")
    until(lambda: events(state, job, "told"))
    told = dict(line.split("=", 1) for line in (tmp_path / "env.txt").read_text().splitlines())
    assert (told["KTJOB_ID"], told["KTJOB_STATE"]) == (job.id, "SUCCEEDED")
    assert told["KTJOB_LABEL"] == "nightly" and SECRET not in told.values()
    assert (tmp_path / "answer.txt").read_text() == "Well."
    assert stat.S_IMODE((tmp_path / "answer.txt").stat().st_mode) == 0o600
    assert not Path(told["KTJOB_RESULT"]).exists()
    assert "it ran" in state.job_log(job.id).read_text()


def test_a_failed_job_is_told_too(
    scripted: FakeServer, endpoint: Endpoint, state: StateDir, until: Until
) -> None:
    """With why; and nothing of the document or its question."""
    job = submit_long("A secret story.", ask="Whose?", notify=["phone"], at="+1h")
    job.cancel()
    until(lambda: endpoint.heard)
    (words,) = endpoint.heard
    assert "cancelled" in words["title"] and f"ktjob show {job.id}" in words["message"]
    assert "secret story" not in str(words) and "Whose" not in str(words)


def test_a_name_does_nothing_in_a_notification_and_is_one_line_for_a_command(
    scripted: FakeServer, endpoint: Endpoint, state: StateDir, until: Until, tmp_path: Path
) -> None:
    """Neither mention nor link nor markup nor line end, however the document and the label are
    called; what a server said is a reason."""
    document = tmp_path / "a\r\nX-Evil: 1 @everyone <!channel> [x](y)\u202e\u200b\U000e0041.txt"
    document.write_text("A story.")
    command = f'printf "%s|%s" "$KTJOB_TITLE" "$KTJOB_LABEL" > {tmp_path}/told.txt'
    label = "<b>@here"
    job = submit_long(document, notify=["phone"], on_done=command, label=label, at="+1h")
    job.cancel()
    until(lambda: endpoint.heard and len(events(state, job, "told")) == 2)
    (words,) = endpoint.heard
    for text in (words["title"], *words["message"].splitlines()):
        assert text.isprintable() and not set("@<>") & set(text) and "](" not in text
    assert "a X-Evil: 1 \uff20everyone \u2039!channel\u203a [x] (y).txt" in words["title"]
    told = (tmp_path / "told.txt").read_text()
    assert told == "a X-Evil: 1 @everyone <!channel> [x](y).txt|<b>@here"


def test_a_refused_notification_is_sent_again_and_its_address_is_kept_nowhere(
    scripted: FakeServer, endpoint: Endpoint, state: StateDir, until: Until, hurried: Hurry
) -> None:
    """Each try is an event; the outcome of the job is what it was."""
    endpoint.refusals = 2
    hurried(outbox__FIRST_PAUSE_SECONDS=0.1)
    job = submit_long("A story.", notify=["phone"])
    until(lambda: events(state, job, "told"))
    assert len(events(state, job, "not told")) == 2 and len(endpoint.heard) == 1
    assert job.status().state == "SUCCEEDED"
    for file in state.root.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


@pytest.fixture
def soon_again(hurried: Hurry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tries at most; what is postponed is due again soon."""
    hurried(outbox__POSTPONED_SECONDS=0.1, outbox__MOST_TRIES=2)
    rest = "jobs.runner.notifiers:REST_SECONDS=0.05,jobs.runner.loop:TICK_SECONDS=0.1"
    monkeypatch.setenv("KTJOB_PACE", f"{os.environ['KTJOB_PACE']},{rest}")


def put(file: Path, text: str) -> None:
    """In one step: a file that is being written is empty for a moment."""
    draft = file.with_name("draft")
    draft.write_text(text)
    draft.replace(file)


@pytest.mark.promise
@pytest.mark.usefixtures("soon_again")
@pytest.mark.parametrize("broken", ["[notify", "[notify]\nphone = 7\n", "[notify]\n"])
def test_settings_that_cannot_be_used_postpone_a_notification(
    scripted: FakeServer, endpoint: Endpoint, state: StateDir, until: Until, broken: str
) -> None:
    """Half written, wrong, or without the name: it is noted once, uses up no try, and the
    notification arrives when they are mended."""
    file = config.path()
    whole = file.read_text()
    scripted.hold()
    job = submit_long("A story.", notify=["phone"])
    scripted.wait_for_event("prefill_started")
    put(file, broken)
    scripted.let_go()
    until(lambda: events(state, job, "not told"))
    due = set()
    until(lambda: due.add(due_at(state)) or len(due) > 2 * outbox.MOST_TRIES)
    put(file, whole)
    until(lambda: events(state, job, "told"))
    assert len(endpoint.heard) == 1 and len(events(state, job, "not told")) == 1
    assert job.status().state == "SUCCEEDED"


def due_at(state: StateDir) -> object:
    """When the only notification is due again: another moment after each look at the settings."""
    with contextlib.closing(sqlite3.connect(state.database)) as database:
        return database.execute("SELECT due_at FROM tellings").fetchone()[0]


def test_the_last_try_is_the_last(
    scripted: FakeServer, state: StateDir, until: Until, hurried: Hurry
) -> None:
    """It is given up, said, and nobody waits for it any more."""
    hurried(outbox__FIRST_PAUSE_SECONDS=0.01, outbox__MOST_TRIES=2)
    job = submit_long("A story.", on_done="exit 7")
    until(lambda: len(events(state, job, "not told")) == 2)
    last = events(state, job, "not told")[-1].data
    assert last["again"] == "given up" and "exit status 7" in str(last["trouble"])
    with Store.open(state) as store:
        assert not store.owes_tellings()


def test_one_that_hangs_is_ended_with_all_it_started_and_delays_no_job(
    scripted: FakeServer, state: StateDir, until: Until, hurried: Hurry, tmp_path: Path
) -> None:
    """Its child too."""
    hurried(outbox__MOST_SECONDS=3, outbox__FIRST_PAUSE_SECONDS=3600)
    hanging = submit_long("A story.", on_done=f"sleep 1000 & echo $! > {tmp_path}/pid; wait")
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    child = identity.of(int((tmp_path / "pid").read_text()))
    assert child is not None
    assert submit_long("Another story.").wait().status().state == "SUCCEEDED"
    until(lambda: events(state, hanging, "not told"))
    until(lambda: not identity.is_same_process_alive(child))


@pytest.mark.promise
def test_what_nobody_told_because_all_were_killed_is_told_later(
    scripted: FakeServer, state: StateDir, until: Until, tmp_path: Path, hurried: Hurry
) -> None:
    """Runner and messenger killed in the middle of a try: the next command starts a runner, which
    tries again when the time of the one before is over."""
    hurried(outbox__MOST_SECONDS=5, outbox__FIRST_PAUSE_SECONDS=0.1)
    go, ran = tmp_path / "go", tmp_path / "ran"
    command = f"echo >> {ran}; until [ -e {go} ]; do sleep 0.1; done"
    job = submit_long("A story.", on_done=command)
    until(ran.exists)
    processes.end_all(state)
    go.touch()
    assert job.status().state == "SUCCEEDED"  # any look will do
    until(lambda: events(state, job, "told"))
    assert len(ran.read_text().splitlines()) == 2


@pytest.mark.promise
def test_an_address_on_the_command_line_is_refused(
    scripted: FakeServer, endpoint: Endpoint, ktjob_command: list[str], ktjob_home: Path
) -> None:
    """It would be in every process list, and in the store."""
    command = [*ktjob_command, "submit", "-", "--notify", f"json://{SECRET}@x"]
    done = subprocess.run(command, input="A story.", capture_output=True, text=True)
    assert done.returncode == 2 and SECRET not in done.stderr and "[notify]" in done.stderr
    with pytest.raises(BadInput, match="not configured"):
        submit_long("A story.", notify=["fax"])
    assert not StateDir(ktjob_home).database.exists()


def test_notify_tries_a_name(endpoint: Endpoint, ktjob_command: list[str]) -> None:
    """What came of it is the exit code."""
    run = [*ktjob_command, "notify", "phone"]
    assert subprocess.run(run, capture_output=True).returncode == 0
    endpoint.refusals = 9
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 1 and "503" in done.stderr and SECRET not in done.stderr


def test_whose_messengers_all_die_is_given_up(state: StateDir) -> None:
    """Killed each time before it could note anything: nobody tries for ever."""
    with Store.open(state) as store:
        new = NewJob("pool", "{}", b"text", "title", tellings=(("command", "x"),))
        job = store.submit(new, Capacity(slots=1))
        store.request_cancel(job.id)
        (telling,) = store.due_tellings(9)
        for tries in range(outbox.MOST_TRIES):
            assert store.begin_telling(replace(telling, tries=tries))
            assert not store.begin_telling(replace(telling, tries=tries)), "by one alone"
        store.end_telling(telling, None)
        assert store.owes_tellings(), "one who comes late changes nothing"
        assert not store.begin_telling(replace(telling, tries=outbox.MOST_TRIES))
        assert not store.owes_tellings()
        assert store.events(job.id)[-1].data["again"] == "given up"
