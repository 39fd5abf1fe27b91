"""`ktjob --host` over a real sshd, in namespaces of their own, with a link that is cut."""

from __future__ import annotations

import json
import os
import random
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer
from support.link_lab import Link
from support.patience import HANG_SECONDS

from acceptance.ssh_lab import SERVER_ADDRESS, Lab, ssh_lab, until
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

CUTS = int(os.environ.get("KTJOB_TEST_CUTS", "3"))
WORDS = " ".join(f"word{number}" for number in range(1, 61))
pytestmark = pytest.mark.netns


@dataclass
class Box:
    """The machine that is named gpu1, and the laptop before it."""

    lab: Lab
    state: StateDir
    server: FakeServer
    folder: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """ktjob on the laptop."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self._command(words),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(words),
            env=self._environment(),
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    def submit(self, *words: str) -> tuple[str, ...]:
        return ("--host", "gpu1", "submit", "--server", self.server.url, *words)

    def leftovers(self) -> list[Path]:
        return list((self.folder / "tmp").glob("ktjob-*"))

    def _command(self, words: tuple[str, ...]) -> list[str]:
        inside = ["ip", "netns", "exec", self.lab.laptop]
        return [*inside, sys.executable, "-m", "ktclient", *words]

    def _environment(self) -> dict[str, str]:
        here = {"KTJOB_CONFIG": str(self.folder / "here"), "KTJOB_HOME": str(self.folder / "none")}
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        return {**os.environ, **here, "PATH": path}


@pytest.fixture
def box(tmp_path: Path, state: StateDir) -> Iterator[Box]:
    """Ready for commands; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="lab-") as name, ssh_lab(Path(name)) as lab:
        for one in ("here", "tmp"):
            (tmp_path / one).mkdir()
        _write_far_ktjob(tmp_path, state)
        ssh = ["ssh", "-F", str(_ssh_config(lab))]
        table = f"ktjob = {json.dumps(str(tmp_path / 'ktjob'))}\nssh = {json.dumps(ssh)}\n"
        other = f'address = "gpu1"\nktjob = "/nowhere/ktjob"\nssh = {json.dumps(ssh)}\n'
        config = f"[hosts.gpu1]\n{table}[hosts.bare]\n{other}"
        (tmp_path / "here/config.toml").write_text(config)
        options = ("--answer", WORDS, "--token-seconds", "0.05", "--prefill-seconds", "0.1")
        with Link(lab.laptop, lab.server).fake_sglang(tmp_path, *options) as server:
            try:
                yield Box(lab, state, server, tmp_path)
            finally:
                lab.close()


def _write_far_ktjob(folder: Path, state: StateDir) -> None:
    script = folder / "ktjob"
    settings = {
        "KTJOB_HOME": str(state.root),
        "KTJOB_CONFIG": str(folder / "far"),
        "KTJOB_CACHE": str(folder / "cache"),
        "TMPDIR": str(folder / "tmp"),
    }
    lines = [f"export {name}='{value}'" for name, value in settings.items()]
    run = f'exec {sys.executable} -m ktclient "$@"'
    script.write_text("\n".join(["#!/bin/sh", "echo noise of a login shell", *lines, run, ""]))
    script.chmod(0o755)


def _ssh_config(lab: Lab) -> Path:
    path = lab.folder / "ssh_config"
    options = {
        "HostName": SERVER_ADDRESS,
        "User": "root",
        "IdentityFile": lab.folder / "user_key",
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": lab.folder / "known_hosts",
        "LogLevel": "ERROR",
        "ConnectTimeout": 5,
        "ServerAliveInterval": 1,  # the user's own: it counts, not ours
    }
    path.write_text("Host gpu1\n" + "".join(f"  {k} {v}\n" for k, v in options.items()))
    return path


def ids_of(box: Box) -> list[str]:
    """All jobs on gpu1, seen from there."""
    with Store.open(box.state) as store:
        return sorted({event.job_id for event in store.events_after(0, 10_000)})


def test_commands_run_there_and_are_heard_here(box: Box, tmp_path: Path) -> None:
    """Files go along, exit codes are exact, arguments are data, `-o` is a file of this machine."""
    names = tmp_path / "docs"
    names.mkdir()
    (names / "-rf").write_text("A dark night.\n")
    (names / "it's; $(touch evil).txt").write_text("Rain.\n")
    hostile = 'Who\'s "there"?\n$(touch evil) `id` \\ ;'
    done = box.run(*box.submit("--wait", "-q", "--ask", hostile, str(names / "-rf")))
    assert (done.returncode, done.stdout.strip()) == (0, WORDS), done.stderr
    assert hostile in json.dumps(box.server.requests()[0], ensure_ascii=False).replace(
        "\\n", "\n"
    ).replace('\\"', '"').replace("\\\\", "\\")
    [job_id] = ids_of(box)
    target = tmp_path / "answer.txt"
    kept = box.run("--host", "gpu1", "result", "-o", str(target), job_id)
    assert kept.returncode == 0 and target.read_text() == WORDS + "\n"
    assert box.run("--host", "gpu1", "show", "zzz").returncode == 3
    several = box.run(*box.submit("-q", str(names)))
    assert len(several.stdout.split()) == 2
    assert box.run("--host", "gpu1", "wait", *several.stdout.split()).returncode == 0
    titles = json.loads(box.run("--host", "gpu1", "list", "--json").stdout)
    assert "docs/it's; $(touch evil).txt" in json.dumps(titles)
    every = box.run("--host", "all", "list", "--json")
    far, bare = json.loads(every.stdout)["hosts"]
    assert (far["host"], far["answer"]) == ("gpu1", titles) and every.returncode == 1
    assert bare["answer"] is None and "there is no ktjob on bare" in bare["reason"]
    assert not box.leftovers() and not list(Path.cwd().glob("evil"))


def test_who_cannot_be_asked_is_said(box: Box, tmp_path: Path) -> None:
    """An unknown host, no ktjob there, a host that is an option, a command for one machine."""
    unknown = box.run("--host", "no-such-host.invalid", "status")
    assert unknown.returncode == 1 and "nothing was sent" in unknown.stderr
    bare = box.run("--host", "bare", "status")
    assert bare.returncode == 1 and "there is no ktjob on bare" in bare.stderr
    option = box.run("--host=-oProxyCommand=touch evil", "status")
    assert option.returncode == 2 and "is not a valid host name" in option.stderr
    batch = box.run("--host", "gpu1", "batch", "x.jsonl", "-o", "y.jsonl")
    assert batch.returncode == 2 and "local files" in batch.stderr


def test_a_key_names_one_submit(box: Box, tmp_path: Path) -> None:
    """The same again is the same job, without asking the server; anything else is refused."""
    text = tmp_path / "text.txt"
    text.write_text("A dark night.\n")
    first = box.run(*box.submit("-q", "--key", "nightly", str(text)))
    again = box.run(*box.submit("-q", "--key", "nightly", str(text)))
    assert first.returncode == 0 and first.stdout == again.stdout
    other = box.run(*box.submit("--key", "nightly", "--ask", "Who?", str(text)))
    text.write_text("A bright day.\n")
    changed = box.run(*box.submit("--key", "nightly", str(text)))
    assert (other.returncode, changed.returncode) == (2, 2)
    assert "belongs to job" in other.stderr and "belongs to job" in changed.stderr
    assert len(ids_of(box)) == 1


def _until_connected_or_over(box: Box, process: subprocess.Popen[str]) -> None:
    until(lambda: bool(box.lab.sessions()) or process.poll() is not None, "a session, or the end")


def test_cuts_at_any_moment_lose_nothing_and_double_nothing(box: Box, tmp_path: Path) -> None:
    """Each submit prints the id of one job, however often its link is cut."""
    dice = random.Random(int(os.environ.get("KTJOB_TEST_SEED", "7")))
    text = tmp_path / "text.txt"
    text.write_text("It rained. " * 200_000)
    printed: list[str] = []
    cuts = 0
    while cuts < CUTS:
        process = box.start(*box.submit("-q", str(text), "--ask", f"After {cuts} cuts?"))
        for _ in range(dice.randint(1, 2)):
            _until_connected_or_over(box, process)
            time.sleep(dice.uniform(0, 1.2))  # the moment is what is random
            if box.lab.sessions() and process.poll() is None:
                box.lab.kill_sessions()
                cuts += 1
        out, said = process.communicate()
        assert process.returncode == 0, said
        printed += out.split()
    assert sorted(printed) == ids_of(box)
    until(lambda: not box.leftovers(), "the folders of what had arrived are gone")


def test_an_upload_that_is_cut_leaves_nothing(box: Box, tmp_path: Path) -> None:
    """Neither a file nor a job; and 20 MB are no 20 MB of memory here."""
    text = tmp_path / "long.txt"
    text.write_text("It rained. " * 1_900_000)
    process = box.start(*box.submit("-q", str(text)))
    until(lambda: bool(box.leftovers()), "the upload begins")
    peak = Path(f"/proc/{process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    process.kill()
    process.communicate()
    box.lab.kill_sessions()
    until(lambda: not box.leftovers(), "nothing is left of it")
    assert not ids_of(box)
    assert int(peak) < 120_000, "KiB"


def test_follow_goes_on_where_it_was(box: Box, tmp_path: Path) -> None:
    """Cut twice in the middle of the text: nothing twice, nothing missing."""
    text = tmp_path / "text.txt"
    text.write_text("A dark night.\n")
    box.server.hold()  # else the answer may end before the cut
    job_id = box.run(*box.submit("-q", str(text))).stdout.strip()
    process = box.start("--host", "gpu1", "follow", job_id)
    assert process.stdout is not None
    got = b""
    for word, steps in ((b"word3 ", 10), (b"word20 ", 20)):
        box.server.step(steps)
        while word not in got:
            assert select.select([process.stdout], [], [], HANG_SECONDS)[0]
            more = os.read(process.stdout.fileno(), 65536)
            assert more, process.communicate()
            got += more
        box.lab.kill_sessions()
    box.server.let_go()
    out, said = process.communicate()
    assert process.returncode == 0, said
    assert got.decode() + out == WORDS + "\n"
    assert "retrying" in said


def test_wait_outlives_a_network_that_goes_and_comes_back(box: Box, tmp_path: Path) -> None:
    """As asleep: no packet of farewell. It is noticed, said once, and the job's end is heard."""
    text = tmp_path / "text.txt"
    text.write_text("A dark night.\n")
    submitted = box.run(*box.submit(str(text)))
    job_id = submitted.stdout.strip()
    assert f"ktjob --host gpu1 wait {job_id}" in submitted.stderr
    process = box.start("--host", "gpu1", "wait", job_id)
    until(lambda: bool(box.lab.session_commands()), "it waits there")
    box.lab.cut_link()
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    assert any("retrying" in line for line in lines)
    box.lab.restore_link()
    _, said = process.communicate()
    assert process.returncode == 0 and "succeeded" in said and "retrying" not in said


def test_a_cut_between_the_storing_and_the_answer_doubles_nothing(box: Box, tmp_path: Path) -> None:
    """The moment that matters: the job is stored, a runner is being started, nobody has heard."""
    text = tmp_path / "text.txt"
    text.write_text("A dark night.\n")
    process = box.start(*box.submit(str(text)))
    until(lambda: bool(ids_of(box)), "it is stored", every=0.005)
    box.lab.kill_sessions()
    out, said = process.communicate()
    assert process.returncode == 0 and "retrying" in said, said
    assert out.split() == ids_of(box)
