"""The promise of ktjob over a real SSH link that is really cut, and what is lost without ktjob.

Both tests send the same document to the same real model, in the same kind of session, and end
that session in the same way in the middle of the prefill. Only the program in the session differs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.patience import HANG_SECONDS

from acceptance.ssh_lab import Lab, Process, ssh_lab, until

DIRECT = Path(__file__).with_name("direct.py")
MAX_TOKENS = "30"
WAIT_SECONDS = 300
_JOB_ID = re.compile(r"job (\w+): ")
"""How `ktjob submit --wait` names the job, among whatever else a terminal shows."""
_PASSED_ON = ("COVERAGE_", "KTJOB_", "PYTHON", "XDG_")
"""What a session on the server must share with this test, which an SSH login does not hand over."""
_GET = "import sys, urllib.request as u; " + (
    "print(u.build_opener(u.ProxyHandler({})).open(sys.argv[1], timeout=600).read().decode())"
)


@dataclass(frozen=True)
class Machine:
    """The server, as someone sitting at it sees it: its commands, with no SSH between."""

    lab: Lab
    ktjob_command: list[str]
    environment: dict[str, str]

    def in_environment(self, argv: list[str]) -> list[str]:
        """`argv` as it must be run anywhere on the server to find the same things as here."""
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        return ["env", "-C", str(Path.cwd()), *settings, *argv]

    def output_of(self, argv: list[str], seconds: float = HANG_SECONDS) -> str:
        """Run to the end, here on the server; the test fails with its messages when it fails."""
        ended = subprocess.run(
            self.lab.server_command(self.in_environment(argv)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if ended.returncode != 0:
            pytest.fail(f"{argv} ended with {ended.returncode}: {ended.stderr}")
        return ended.stdout

    def ktjob(self, *words: str, seconds: float = HANG_SECONDS) -> str:
        return self.output_of([*self.ktjob_command, *words], seconds)

    def ktserver(self, *words: str) -> str:
        return self.output_of([*_ktserver_beside(self.ktjob_command), *words], 180)

    def status(self, job_id: str) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.ktjob("status", job_id, "--json"))
        return status

    def url(self) -> str:
        """Of the embedded server, which only listens on this machine's loopback."""
        url: str = json.loads(self.ktserver("status", "--json"))["url"]
        return url

    def get(self, url: str) -> str:
        return self.output_of([sys.executable, "-I", "-c", _GET, url])

    def counter(self, url: str, name: str) -> float:
        """One of llama.cpp's own counts: what the model really did, whoever asked."""
        found = re.search(rf"^llamacpp:{name} (\S+)$", self.get(f"{url}/metrics"), re.MULTILINE)
        assert found, f"llama.cpp does not count {name} any more"
        return float(found[1])

    def slot(self, url: str) -> dict[str, Any]:
        """What the embedded server works on: it has one slot.

        Not to be asked more often than every 3 s: it would keep the server from noticing that
        a client has gone.
        """
        [slot] = json.loads(self.get(f"{url}/slots"))
        assert isinstance(slot, dict)
        return slot


def _ktserver_beside(ktjob_command: list[str]) -> list[str]:
    """`ktserver` of the same installation as `ktjob`, module or script."""
    *before, last = ktjob_command
    if before[-1:] == ["-m"]:
        return [*before[:-1], "-c", "from ktclient.cli.ktserver import main; main()"]
    return [*before, str(Path(last).with_name("ktserver"))]


@pytest.fixture
def machine(
    tmp_path: Path, ktjob_home: Path, ktjob_command: list[str], cache_env: dict[str, str]
) -> Iterator[Machine]:
    """The lab with the embedded server up; afterwards nothing that was started in it is left."""
    shared = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    environment = {**shared, **cache_env, "KTJOB_HOME": str(ktjob_home)}
    folder = tmp_path / "lab"
    folder.mkdir()
    with ssh_lab(folder) as lab:
        machine = Machine(lab, ktjob_command, environment)
        try:
            machine.ktserver("up")
            yield machine
            machine.ktserver("down")
        finally:
            lab.end_server_processes()  # the runner stays for a while in case more comes


def _lose_the_session(lab: Lab) -> None:
    """The laptop is gone without a word; some time later the server gives its sessions up."""
    lab.cut_link()
    assert lab.sessions(), "a cut link by itself tells sshd nothing"
    lab.kill_sessions()
    assert not lab.sessions()


def _ended(processes: list[Process]) -> bool:
    return not any(one.is_alive() for one in processes)


@pytest.mark.netns
def test_a_submitted_job_outlives_the_ssh_session_that_watches_it(
    machine: Machine, report: Path, tmp_path: Path
) -> None:
    """Cut in the prefill, the job goes on to its summary, and its prefill is paid once."""
    lab, url = machine.lab, machine.url()
    part = tmp_path / "part.txt"  # its prefill lasts for longer than it takes to cut the link
    part.write_text(report.read_text(encoding="utf-8")[:11_000], encoding="utf-8")
    submit = ["submit", str(part), "--summarize", "--max-tokens", MAX_TOKENS, "--wait"]
    session = lab.ssh(machine.in_environment([*machine.ktjob_command, *submit]), tty=True)
    try:
        until(lambda: bool(_JOB_ID.search(lab.output(session))), "the id is on the terminal")
    except TimeoutError as error:
        raise AssertionError(f"the terminal shows: {lab.output(session)}") from error
    job_id = _JOB_ID.findall(lab.output(session))[0]
    prompt_tokens = _wait_for_prefill(machine, job_id)

    watching = lab.session_commands()
    assert watching, f"ktjob no longer watches: {lab.output(session)}"
    _lose_the_session(lab)
    until(lambda: _ended(watching), "what the session ran has ended with it")

    machine.ktjob("wait", job_id, "--timeout", str(WAIT_SECONDS))
    assert machine.status(job_id)["state"] == "SUCCEEDED"
    assert machine.ktjob("result", job_id).strip()
    # A second attempt would find the prefix of the first in the server's cache.
    assert machine.counter(url, "prompt_tokens_cached_total") == 0
    assert machine.counter(url, "prompt_tokens_total") == prompt_tokens


def _wait_for_prefill(machine: Machine, job_id: str) -> int:
    """Return once the prefill is under way, with the number of tokens that it is about."""
    seen: dict[str, Any] = {}

    def is_in_prefill() -> bool:
        seen.update(machine.status(job_id))
        assert seen["state"] in ("QUEUED", "RUNNING"), f"too late to cut: {seen}"
        return seen["phase"] == "prefill" and (seen["done"] or 0) > 0

    until(is_in_prefill, f"job in prefill, not {seen}", every=0.5)
    return int(seen["total"])


@pytest.mark.netns
def test_a_plain_request_is_lost_with_its_ssh_session(
    machine: Machine, report: Path, tmp_path: Path
) -> None:
    """The control: the same cut ends a plain script, its request and the work on it."""
    lab, url, answer = machine.lab, machine.url(), tmp_path / "answer.txt"
    script = [str(DIRECT), f"{url}/v1", str(report), str(answer), MAX_TOKENS]
    session = lab.ssh(machine.in_environment([sys.executable, *script]), tty=True)

    def is_at_work() -> bool:
        assert session.poll() is None, f"direct.py ended early: {lab.output(session)}"
        slot = machine.slot(url)
        return bool(slot["is_processing"]) and slot["n_prompt_tokens_processed"] > 0

    until(is_at_work, "the server prefills direct.py's request", every=3)

    running = [one for one in lab.session_commands() if DIRECT.name in one.command_line()]
    assert running, lab.output(session)
    _lose_the_session(lab)
    until(lambda: _ended(running), "direct.py hung up on")

    until(lambda: not machine.slot(url)["is_processing"], "the server works no more", every=3)
    assert machine.counter(url, "tokens_predicted_total") == 0, "the answer was being written"
    assert not answer.exists()
