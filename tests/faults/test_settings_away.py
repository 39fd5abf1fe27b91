"""Settings and keys that cannot be read when a worker begins: each job waits for them, says so, and
uses up no attempt; the runner is real, and the file is broken while it stands still."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support import batches
from support.standing_still import runner_stands_still

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, submit_long
from ktclient.cli.render import job_activity
from ktclient.records.phases import WAITING_FOR_SETTINGS

Until = Callable[..., object]
KEY = "sk-of-the-box"
WAITS = f"{WAITING_FOR_SETTINGS} ("


def put(path: Path, text: str) -> None:
    """In one step: the worker may read it meanwhile, and half a file is a reason of its own."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


class Box:
    """A server that requires a key, its entry in config.toml, and a file with the key."""

    def __init__(self, folder: Path, server: FakeServer) -> None:
        self.server = server
        self.file, self.key_file = folder / "config.toml", folder / "box.key"
        folder.mkdir()
        self.whole = f'[servers.box]\nurl = "{server.url}"\napi_key_file = "box.key"\n'
        self.mend()

    def mend(self) -> None:
        put(self.file, self.whole)
        put(self.key_file, KEY)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with fake_sglang(tmp_path, "--require-key", KEY, "--answer", "Let in.") as server:
        yield Box(tmp_path / "config", server)


@pytest.fixture
def ktjob(ktjob_command: list[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*ktjob_command, *words],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


Command = Callable[..., subprocess.CompletedProcess[str]]


def submitted(ktjob: Command, tmp_path: Path, *words: str, **environment: str) -> Job:
    document = tmp_path / "book.txt"
    document.write_text("It was a dark night. " * 20)
    done = ktjob("submit", str(document), *words, **environment)
    assert done.returncode == 0, done.stderr
    return Job(done.stdout.strip())


def notes_of(state: StateDir, job: Job, kind: str) -> list[dict[str, object]]:
    with Store.open(state) as store:
        return [event.data for event in store.events(job.id) if event.kind == kind]


def unreadable(box: Box) -> None:
    """As far as root is concerned, too; as a link, which the file can replace in one step."""
    box.file.unlink()
    box.file.symlink_to(box.file.parent)


BROKEN: dict[str, tuple[Callable[[Box], object], str]] = {
    "syntax": (lambda box: box.file.write_text("[servers.box\n"), "config.toml cannot be read"),
    "type": (lambda box: box.file.write_text("[servers.box]\nurl = 7\n"), "must be text"),
    "key": (lambda box: box.file.write_text(box.whole + "modle = 1\n"), "unknown setting"),
    "unreadable": (unreadable, "config.toml cannot be read"),
    "no text": (lambda box: box.file.write_bytes(b"\xff\xfe"), "config.toml cannot be read"),
    "missing": (lambda box: box.file.unlink(), "names no API key for"),
    "no such server": (lambda box: box.file.write_text(""), "names no API key for"),
    "half written": (
        lambda box: box.file.write_text(box.whole.partition("api_key_file")[0]),
        "names no API key for",
    ),
    "key file away": (lambda box: box.key_file.unlink(), "box.key cannot be read"),
    "key file empty": (lambda box: box.key_file.write_text("\n"), "box.key is empty"),
    "key in a variable": (
        lambda box: box.file.write_text(box.whole.replace('file = "box.key"', 'env = "NO_KEY"')),
        "the variable NO_KEY is not set",
    ),
}


SHOWN = ("syntax", "missing", "key file away")
"""One of each kind: the whole file is of no use, the server is not in it, the key is not there."""


@pytest.mark.promise
@pytest.mark.parametrize("how", SHOWN)
def test_a_job_waits_for_its_settings_and_says_so(
    state: StateDir, box: Box, tmp_path: Path, until: Until, ktjob: Command, how: str
) -> None:
    """By `status` and `show`, as for a server that is away, and they work meanwhile; a submit is
    refused immediately."""
    with runner_stands_still(state):
        job = submitted(ktjob, tmp_path, "--server", "box")
        damage, says = BROKEN[how]
        damage(box)
    until(lambda: job.status().phase == WAITING_FOR_SETTINGS)
    assert WAITING_FOR_SETTINGS in ktjob("status").stdout
    assert WAITS in ktjob("status", job.id).stdout
    (told,) = json.loads(ktjob("status", "--json").stdout)
    assert told["state"] == "RUNNING" and told["phase"] == WAITING_FOR_SETTINGS
    assert says in ktjob("show", job.id).stdout.replace("\n", " ")
    if "names no" not in says:  # else it is what its owner may have wanted
        refused = ktjob("submit", str(tmp_path / "book.txt"), "--server", "box")
        assert refused.returncode == 2 and says in refused.stderr
    box.mend()
    assert job.result() == "Let in."


def test_whatever_is_wrong_with_them_one_attempt_and_one_request_are_all(
    state: StateDir, box: Box, tmp_path: Path, until: Until
) -> None:
    """In each way in which they can be away, one after the other."""
    for number, (how, (damage, says)) in enumerate(BROKEN.items(), 1):
        with runner_stands_still(state):
            job = submit_long(f"Night {number}.", server="box")
            damage(box)
        until(lambda job=job, says=says: says in str(job.status().figures.get("last_refusal")))
        assert job.status().phase == WAITING_FOR_SETTINGS, how
        assert len(box.server.requests()) == number - 1, how
        box.mend()
        assert job.result() == "Let in.", how
        now = job.status()
        assert now.attempt == 1 and now.figures["last_refusal"] is None, how
        assert len(box.server.requests()) == number, how
        assert len(notes_of(state, job, "settings unusable")) == 1, how


@pytest.mark.promise
def test_no_line_of_a_batch_fails_by_them(
    state: StateDir, box: Box, tmp_path: Path, until: Until, ktjob: Command
) -> None:
    """Each waits; none is an error line, and none is asked twice."""
    lines = [batches.request(str(number), f"What of {number}?") for number in range(6)]
    file = batches.write(tmp_path / "requests.jsonl", lines)
    results = tmp_path / "results.jsonl"
    with runner_stands_still(state):
        done = ktjob("batch", str(file), "-o", str(results), "--server", "box")
        assert done.returncode == 0, done.stderr
        box.file.write_text("[servers.box")
    batch = Job(done.stdout.strip())

    def is_one_waiting() -> bool:
        with Store.open(state) as store:
            parts = [Job(part.id) for part in store.parts(batch.id)]
        return any(part.status().phase == WAITING_FOR_SETTINGS for part in parts)

    until(is_one_waiting)
    until(lambda: "a request waits: " in job_activity.activity(batch.status()))
    assert "config.toml cannot be read" in ktjob("status", batch.id).stdout
    box.mend()
    batch.wait()
    assert [batches.said(line) for line in batches.read(results)] == ["Let in."] * 6
    assert len(batches.asked(box.server)) == 6
    assert batch.status().figures["last_refusal"] is None


def test_a_key_that_was_lent_and_is_gone_is_waited_for(
    state: StateDir, box: Box, tmp_path: Path, until: Until, ktjob: Command
) -> None:
    """The request is not sent without; another submit with the variable brings it again."""
    box.file.unlink()
    words = ("--server", box.server.url)
    with runner_stands_still(state):
        job = submitted(ktjob, tmp_path, *words, KTJOB_API_KEY=KEY)
        (lent,) = state.lent_keys.glob("*.key")
        lent.unlink()
    until(lambda: job.status().phase == WAITING_FOR_SETTINGS)
    again = submitted(ktjob, tmp_path, *words, KTJOB_API_KEY=KEY)
    assert job.result() == again.result() == "Let in."
    assert job.status().attempt == 1


def test_a_cancel_and_a_timeout_end_that_wait(
    state: StateDir, box: Box, tmp_path: Path, until: Until, ktjob: Command
) -> None:
    """As for a server that is away: within a second or two, and with the cause."""
    with runner_stands_still(state):
        job = submitted(ktjob, tmp_path, "--server", "box")
        short = submitted(ktjob, tmp_path, "--server", "box", "--timeout", "3")
        box.file.write_text("[servers.box")
    until(lambda: job.status().phase == WAITING_FOR_SETTINGS)
    assert ktjob("cancel", job.id).returncode == 0
    with pytest.raises(errors.JobCancelled):
        job.result()
    with pytest.raises(errors.JobFailed, match=r"config\.toml cannot be read"):
        short.result()
    assert (short.status().cause, short.status().attempt) == ("bad_setting", 1)
    assert not box.server.requests()


def test_what_a_job_does_not_need_does_not_hold_it_up(state: StateDir, box: Box) -> None:
    """A mistake in another table, or a table of a later version."""
    for table in ("[notify]\nphone = 7", "[defaults]\nnonsense = 1", "[new]\na = 1"):
        box.mend()
        with runner_stands_still(state):
            job = submit_long(f"Beside {table}.", server="box")
            put(box.file, f"{box.whole}{table}\n")
        assert job.result() == "Let in.", table
        assert not notes_of(state, job, "settings unusable"), table


@pytest.mark.promise
def test_what_looks_at_jobs_works_whatever_the_file_says(
    state: StateDir, box: Box, tmp_path: Path, ktjob: Command
) -> None:
    """And what needs the file says what is wrong with it."""
    job = submitted(ktjob, tmp_path, "--server", "box")
    assert job.result() == "Let in."
    box.file.write_text("[servers.box")
    looks = "status|show ID|list|wait ID|follow ID|result ID|logs ID|events|cancel ID|paths|rm ID"
    for words in looks.split("|"):
        done = ktjob(*words.replace("ID", job.id).split())
        assert done.returncode == 0, (words, done.stderr)
    for words in ("config show", f"check {tmp_path / 'book.txt'}", "doctor"):
        done = ktjob(*words.split())
        assert done.returncode == 2 and "config.toml cannot be read" in done.stderr, words


def test_a_key_that_the_server_refuses_is_an_answer(
    state: StateDir, box: Box, tmp_path: Path, ktjob: Command
) -> None:
    """That is not waited for, and not asked again."""
    with runner_stands_still(state):
        job = submitted(ktjob, tmp_path, "--server", "box")
        box.key_file.write_text("sk-of-yesterday")
    with pytest.raises(errors.JobFailed):
        job.result()
    assert (job.status().cause, job.status().attempt) == ("unauthorized", 1)
