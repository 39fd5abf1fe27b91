"""Jobs on another machine from Python. `ssh` is a program here that leads to another home of this
machine, where the rest is the real far side; over a real sshd the commands are in test_remote.py.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support import processes
from support.ended_jobs import ended

from jobs import errors as jobs_errors
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import FarJob, errors, submit_long, submit_questions
from ktclient.api import remote_job as far_jobs
from ktclient.remote import frames
from ktclient.remote.frames import MAGIC, PROTOCOL
from server_bundle import errors as server_bundle_errors

pytestmark = pytest.mark.each_python

ANSWER = "It ends\nwell, in the end."


@pytest.fixture
def far(tmp_path: Path) -> Iterator[StateDir]:
    """The state directory of gpu1."""
    home, here = tmp_path / "far", tmp_path / "config"
    home.mkdir()
    here.mkdir()
    ktjob, ssh = home / "ktjob", home / "ssh"
    settings = {name: home / name.lower() for name in ("HOME", "CONFIG", "CACHE")}
    lines = [f"export KTJOB_{name}={path}" for name, path in settings.items()]
    ktjob.write_text(
        "\n".join(["#!/bin/sh", *lines, f'exec {sys.executable} -m ktclient "$@"', ""])
    )
    ssh.write_text('#!/bin/sh\n[ "$1" = -G ] && exit 0\nfor one; do :; done\nexec sh -c "$one"\n')
    for program in (ktjob, ssh):
        program.chmod(0o755)
    other = f'ssh = ["{ssh}"]\n'
    (here / "config.toml").write_text(
        f'[hosts.gpu1]\nktjob = "{ktjob}"\n{other}[hosts.gpu2]\nktjob = "/nowhere"\n{other}'
    )
    state = StateDir(home / "home")
    yield state
    processes.end_all(state)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path, "--answer", ANSWER, "--window", "4000") as server:
        yield server


@pytest.mark.promise
@pytest.mark.long
def test_a_job_of_another_machine_is_a_job(
    far: StateDir, server: FakeServer, tmp_path: Path
) -> None:
    """Submitted, watched, streamed, asked about, awaited; and nothing of it is stored here."""
    file = tmp_path / "it's a $(book).txt"
    file.write_text("Once upon a time.\r\n")
    job = submit_long(file, ask="How?", label="far", server=server.url, host="gpu1")
    assert isinstance(job, FarJob)
    assert "".join(job.stream()) == ANSWER == job.result()
    now = job.status()
    assert (now.state, now.label, now.title) == ("SUCCEEDED", "far", file.name)
    assert now.questions == ("How?",) and now.figures["prompt_tokens"]
    assert [one.text for one in job.answers()] == [ANSWER]
    other = job.ask("And then?")
    assert asyncio.run(other.awaited()) == ANSWER and other.id != job.id
    with Store.open(far) as store:
        assert {one.id for one in store.newest(9)} == {job.id, other.id}
    assert not StateDir(tmp_path / "state").database.exists()


def test_all_that_is_given_goes_along(far: StateDir, server: FakeServer) -> None:
    """A text, several questions, a schema, a time, the job to start after."""
    (alone,) = submit_questions("x", ["Who?"], together=True, server=server.url, host="gpu1")
    assert alone.result() == ANSWER
    first, second = submit_questions(
        "A dark\nnight.",
        ["Who?", "Why?; $(true)"],
        schema={"type": "string"},
        system="Be terse.",
        thinking=True,
        at="+1h",
        server=server.url,
        host="gpu1",
    )
    after = submit_long("Rain.", after=[second], priority=2, server=server.url, host="gpu1")
    told = second.status()
    assert told.questions == ("Why?; $(true)",) and told.has_schema and told.not_before
    assert after.status().needs == (second.id,)
    assert first.cancel().state == "CANCELLED"
    with pytest.raises(errors.JobCancelled, match="cancelled"):
        first.result()


def test_nothing_that_can_be_given_is_left_out() -> None:
    """Whoever adds an argument teaches it to go along, or it is refused by its name."""
    for call in (submit_long, submit_questions):
        assert set(inspect.signature(call).parameters) <= far_jobs.KNOWN
    with pytest.raises(errors.BadInput, match="colour"):
        far_jobs.submit("gpu1", "x", {"colour": "red"})


def test_errors_are_those_of_a_job_here(far: StateDir, server: FakeServer) -> None:
    """By the exit code that the command has for each."""
    with pytest.raises(jobs_errors.NoSuchJob, match="zzz"):
        FarJob("zzz", "gpu1").result()
    with pytest.raises(errors.DoesNotFit, match="4,000"):
        submit_long("x" * 40_000, split="never", server=server.url, host="gpu1")
    with pytest.raises(errors.BadInput, match="temperature"):
        submit_long("x", temperature=9, server=server.url, host="gpu1")
    with pytest.raises(server_bundle_errors.NoServer, match="nothing listens"):
        submit_long("x", server="http://127.0.0.1:9", host="gpu1")
    later = submit_long("x", at="+1h", server=server.url, host="gpu1")
    with pytest.raises(errors.NotFinished, match=later.id):
        later.wait(0.1)
    with pytest.raises(errors.HostTrouble, match="no ktjob"):
        submit_long("x", host="gpu2")


@pytest.mark.parametrize(
    ("protocol", "cure"), [(PROTOCOL + 1, "update it here"), (PROTOCOL - 1, "update it on gpu1")]
)
def test_two_that_do_not_understand_each_other_say_so(
    far: StateDir, tmp_path: Path, protocol: int, cure: str
) -> None:
    """Before anything is sent; and which of them is to be updated."""
    hello = {"protocol": protocol, "version": "9.9"}
    script = (
        f"#!{sys.executable}\nimport sys\nfrom ktclient.remote import frames\n"
        "sys.stdout.buffer.write(frames.MAGIC)\n"
        f"frames.write_record(sys.stdout.buffer, frames.HELLO, {hello})\n"
    )
    (tmp_path / "far/ktjob").write_text(script)
    with pytest.raises(errors.HostTrouble, match=cure):
        submit_long("x", host="gpu1")


@pytest.mark.parametrize("name", ["serve-remote", "at-your-service"])
@pytest.mark.parametrize("host", [(), ("--host", "gpu1")])
def test_the_far_side_answers_to_both_names(
    far: StateDir, ktjob_command: list[str], name: str, host: tuple[str, ...]
) -> None:
    """The old one is what versions of ktjob call each other by. It greets with its protocol's
    number and leaves when nothing is sent; with --host too it runs here. Neither name is listed."""
    done = subprocess.run([*ktjob_command, *host, name], input=b"", capture_output=True)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(MAGIC)
    kind, body = frames.read(io.BytesIO(done.stdout.removeprefix(MAGIC)))
    assert (kind, frames.record(body)["protocol"]) == (frames.HELLO, PROTOCOL)
    listed = subprocess.run([*ktjob_command, "--help"], capture_output=True, text=True)
    assert listed.returncode == 0 and name not in listed.stdout


def test_several_jobs_of_another_machine_take_the_same_words(
    far: StateDir, server: FakeServer, tmp_path: Path
) -> None:
    """One file of answers is written here, by the words that are understood there."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ktclient", "--host", "gpu1", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    (tmp_path / "doc.txt").write_text("Once upon a time.")
    asked = ("--ask", "How?", "--ask", "Why?", "--server", server.url)
    submitted = run("submit", "doc.txt", *asked)
    assert submitted.returncode == 0 and len(submitted.stdout.split()) == 2, submitted.stderr
    waited = run("wait", "@group", "--print")
    assert waited.returncode == 0, waited.stderr
    assert waited.stdout == f"1. How?\n\n{ANSWER}\n\n2. Why?\n\n{ANSWER}\n"
    written = run("result", "@group", "--state", "succeeded", "-o", "answers.md")
    assert written.returncode == 0, written.stderr
    whole = "\n\n".join(f"## doc.txt: {ask}\n\n{ANSWER}" for ask in ("How?", "Why?"))
    assert (tmp_path / "answers.md").read_text() == whole + "\n"
    assert run("ls", "--group", "@group").stdout.count("doc.txt") == 2
    refused = run("follow", "@group")
    assert refused.returncode == 2 and "one job at a time" in refused.stderr
    assert run("follow", "@last").stdout == f"{ANSWER}\n"
    asking = run("rm", "--all")
    assert asking.returncode == 2 and "add --yes" in asking.stderr
    assert run("rm", "--all", "--yes").returncode == 0


def test_an_export_crosses_to_this_machine_and_an_import_to_that_one(
    far: StateDir, ktjob_command: list[str], tmp_path: Path, state: StateDir
) -> None:
    """The files are here, whatever is called so there; an existing one is not replaced."""
    (job,) = ended(far.create(), "Who?")
    (mine,) = ended(state, "Where?")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*ktjob_command, *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    there = ("--host", "gpu1")
    done = run(*there, "export", "--all", "-o", "theirs.jsonl", "--with-documents")
    assert done.returncode == 0 and job.id in (tmp_path / "theirs.jsonl").read_text(), done.stderr
    refused = run(*there, "export", job.id, "-o", "theirs.jsonl")
    assert refused.returncode == 2 and "--force" in refused.stderr
    assert run(*there, "export", job.id).stdout.startswith("## a.txt: Who?")
    assert run("export", mine.id, "-o", "mine.json").returncode == 0
    sent = run(*there, "import", "mine.json")
    assert sent.returncode == 0 and sent.stdout.strip() == mine.id, sent.stderr
    assert run(*there, "result", mine.id).stdout == "It rained.\n"
    assert run(*there, "import", "missing.json").returncode == 2
