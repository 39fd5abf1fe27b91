"""`ktjob --host all`: several machines at the same time. A program stands for ssh, and starts the
far side on this machine, with a store of its own for each address."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.output_schema import strict

from jobs.model import Capacity, NewJob
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.cli import exit_codes
from ktclient.cli.ktjob import ktjob
from ktclient.cli.remote import all_hosts
from ktclient.prompts.tasks import Kind, Task
from ktclient.submission.spec import JobSpec

SSH = """#!{python}
import os, sys, time
if sys.argv[1] == "-G":
    sys.exit()
address = sys.argv[-2]
if address == "dead":
    print("ssh: connect to host dead port 22: No route to host", file=sys.stderr)
    sys.exit(255)
if address == "slow":
    time.sleep(3600)
if address == "other":
    print("Welcome.")
    sys.exit()
os.environ["KTJOB_HOME"] = os.path.join({folder!r}, address)
os.environ["KTJOB_CONFIG"] = os.environ["KTJOB_HOME"]
os.execv({python!r}, [{python!r}, "-m", "ktclient", "at-your-service"])
"""
Asked = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Asked:
    """ktjob with these words: its exit code, output and messages."""
    ssh = tmp_path / "ssh"
    ssh.write_text(SSH.format(python=sys.executable, folder=str(tmp_path)))
    ssh.chmod(0o755)
    monkeypatch.setenv("KTJOB_CONFIG", str(tmp_path))

    def ask(*words: str, hosts: tuple[str, ...]) -> tuple[int, str, str]:
        tables = [f'[hosts.{one}]\nssh = ["{ssh}"]\n' for one in hosts]
        (tmp_path / "config.toml").write_text("".join(tables))
        capfd.readouterr()
        code = exit_codes.code_of_command(ktjob, "ktjob", ["--host", "all", *words])
        return code, *capfd.readouterr()

    return ask


def _store(folder: Path, title: str) -> str:
    folder.mkdir(mode=0o700)
    with Store.open(StateDir(folder)) as store:
        spec = JobSpec(Task(Kind.SUMMARIZE), "http://127.0.0.1:9", "m", 10, 60.0).to_json()
        new = NewJob("pool", spec, b"text", title, max_attempts=1)
        job = store.submit(new, Capacity(slots=1))
        store.request_cancel(job.id)  # so that no runner is started
    return job.id


@pytest.mark.promise
def test_all_machines_are_asked_and_none_that_is_dead_or_slow_is_waited_for(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the others answer is printed meanwhile; those are named, with the reason."""
    monkeypatch.setattr(all_hosts, "FIRST_SECONDS", 60.0)
    first, second = (_store(tmp_path / name, f"on {name}") for name in ("gpu1", "gpu2"))
    hosts = ("dead", "gpu1", "other", "gpu2")
    code, out, said = asked("list", hosts=hosts)
    assert code == exit_codes.FAILED
    assert first in out.split("gpu1:\n")[1] and second in out.split("gpu2:\n")[1]
    assert "dead cannot be reached" in said and "No route to host" in said
    assert "other answered" in said or "other does not answer as ktjob does" in said

    code, out, _ = asked("list", "--json", hosts=hosts)
    found = json.loads(out)["hosts"]
    assert [one["host"] for one in found] == list(hosts)  # in the order of the configuration
    assert [one["reason"] is None for one in found] == [False, True, False, True]
    assert [one["id"] for one in found[3]["answer"]] == [second]
    strict("hosts").validate(json.loads(out))

    monkeypatch.setattr(all_hosts, "FIRST_SECONDS", 0.5)
    code, out, said = asked("status", hosts=("slow",))
    assert (code, out) == (exit_codes.FAILED, "") and "slow did not answer within" in said


def test_what_makes_no_sense_on_several_machines_is_refused(asked: Asked) -> None:
    for words, reason in (
        (("submit", "a.txt"), "Name one host for submit"),
        (("status", "k7m2"), "an ID belongs to one machine"),
        (("wait", "k7m2"), "an ID belongs to one machine"),
        (("status", "--watch"), "the page of one machine"),
        (("wait", "--all", "--print"), "there is no --print"),
    ):
        code, _, said = asked(*words, hosts=("gpu1",))
        assert code == exit_codes.USAGE and reason in said
    code, _, said = asked("status", hosts=())
    assert code == exit_codes.USAGE and "[hosts.NAME]" in said
    code, _, said = asked("status", hosts=("all", "dead"))
    assert "dead" not in said  # a machine that is called so
