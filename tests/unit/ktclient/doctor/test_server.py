"""`ktjob doctor` as a command, and its findings about the server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ktclient import doctor
from ktclient.cli.render import findings as setup_doctor
from ktclient.config import settings as config
from ktclient.doctor import Finding, Machine, Severity

Look = Callable[..., Finding]


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks a server of this machine, unless it says which."""
    monkeypatch.setenv("KTJOB_SERVER", "embedded")


def test_keepalive_names_its_values(look_at: Look) -> None:
    """Those that are set, not those of sysctl."""
    finding = look_at("keepalive")
    assert finding.severity is Severity.OK
    assert all(f"{seconds} s" in finding.found for seconds in (30, 15, 600))


def test_the_server(look_at: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configured one is asked; its absence keeps nobody from looking at the rest."""
    monkeypatch.setenv("KTJOB_SERVER", "http://127.0.0.1:1")
    finding = look_at("server")
    assert finding.severity is Severity.WARN
    assert "127.0.0.1:1" in finding.found
    monkeypatch.setenv("KTJOB_SERVER", "embedded")
    assert "embedded" in look_at("server").found


def test_a_check_that_breaks_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are still told."""

    def broken(path: Path) -> int:
        raise OSError("the disk is gone")

    findings = doctor.examine(config.load(), Machine(tmp_path, "me", broken))
    assert Finding(Severity.FAIL, "disk", "the disk is gone") in findings
    assert {"logind", "database", "server"} <= {finding.about for finding in findings}


def command(*options: str) -> subprocess.CompletedProcess[str]:
    code = (
        "from ktclient.cli import exit_codes; from ktclient.cli.setup import doctor\n"
        "exit_codes.run(doctor.doctor, 'ktjob doctor')\n"
    )
    return subprocess.run([sys.executable, "-c", code, *options], capture_output=True, text=True)


def test_this_machine_is_examined_and_nothing_is_created(tmp_path: Path) -> None:
    """As people run it: a line for each finding, a code, no traceback, no file."""
    before = sorted(tmp_path.rglob("*"))
    done = command()
    assert done.returncode in (0, 1)
    assert done.stderr == ""
    assert all(
        line[:6] in ("ok    ", "warn  ", "FAIL  ", " " * 6) for line in done.stdout.splitlines()
    )
    assert (done.returncode == 1) == any(
        line.startswith("FAIL") for line in done.stdout.splitlines()
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_json_is_a_list_of_findings(tmp_path: Path) -> None:
    """With the same code."""
    done = command("--json")
    findings = json.loads(done.stdout)
    assert {"logind", "state", "database", "server"} <= {one["about"] for one in findings}
    assert all(set(one) == {"schema", "severity", "about", "found", "cure"} for one in findings)
    assert (done.returncode == 1) == any(one["severity"] == "fail" for one in findings)


def test_a_failure_exits_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says FAIL, with the cure on a line below."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KTJOB_HOME", str(tmp_path / "file" / "state"))
    done = command()
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("FAIL  state: "))
    assert lines[at + 1].startswith("      ")
    assert "KTJOB_HOME" in lines[at + 1]


def test_a_path_cannot_steer_the_terminal() -> None:
    """One finding is one line, whatever a path holds."""
    told = setup_doctor.lines(Finding(Severity.WARN, "state", "a\nb\x1b[2J", "c\nd"))
    assert told.splitlines() == ["warn  state: a b\N{REPLACEMENT CHARACTER}[2J", "      c d"]
