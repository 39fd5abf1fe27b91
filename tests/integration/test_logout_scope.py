"""`detach.spawn` in a login session that logind will kill: a stand-in systemd-run.

The stand-in does what the real one does with a scope: it becomes the command. Real processes,
pipes and environment; tests/acceptance/test_logout.py has the real one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import program
from jobs.processes import detach
from jobs.system import logout
from jobs.system.logind import Logind

PROGRAM = """
import json, os, sys
from jobs.processes import detach
detach.say_ready(json.dumps([sys.argv[1:], dict(os.environ), os.getsid(0) != os.getpid()]))
"""
STAND_IN = """#!{python}
import json, os, sys
with open({record!r}, "a") as record:
    record.write(json.dumps(sys.argv[1:]) + "\\n")
{behaviour}
command = sys.argv[sys.argv.index("--") + 1:]
os.execvp(command[0], command)
"""
Spawn = Callable[..., tuple[list[str], dict[str, str], bool]]


@pytest.fixture
def killing(tmp_path: Path) -> Logind:
    """A machine whose logind kills, seen from within a session; the user's manager runs."""
    uid = os.geteuid()
    root = tmp_path / "root"
    for name, text in {
        "run/systemd/system/x": "",
        "etc/systemd/logind.conf": "KillUserProcesses=yes\n",
        "proc/self/cgroup": f"0::/user.slice/user-{uid}.slice/session-7.scope\n",
        f"run/user/{uid}/systemd/private": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Logind(root, uid, "me")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a systemd-run that behaves so on the PATH. Returns the file that records its calls."""

    def put(behaviour: str = "") -> Path:
        record = tmp_path / "calls"
        program = tmp_path / "bin" / "systemd-run"
        program.parent.mkdir()
        program.write_text(
            STAND_IN.format(python=sys.executable, record=str(record), behaviour=behaviour)
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        return record

    return put


@pytest.fixture
def spawn(tmp_path: Path) -> Spawn:
    """Spawns the program; what it got is its arguments, its environment, and whether it leads a
    session (it must not)."""

    def run(logind: Logind, *arguments: str) -> tuple[list[str], dict[str, str], bool]:
        argv = [sys.executable, "-c", PROGRAM, *arguments]
        line = detach.spawn(
            argv, log=tmp_path / "log", cwd=tmp_path, extra_env={"EXTRA": "1"}, logind=logind
        )
        got: tuple[list[str], dict[str, str], bool] = json.loads(line)
        return got

    return run


def calls(record: Path) -> list[list[str]]:
    return [json.loads(line) for line in record.read_text().splitlines()]


def test_it_starts_in_a_scope_with_all_that_it_needs(
    killing: Logind, stand_in: Callable[[str], Path], spawn: Spawn
) -> None:
    """Arguments, environment and the pipe arrive; none of ours passes through systemd-run, which
    will expand `$` some day."""
    record = stand_in("")
    arguments, environment, is_detached = spawn(killing, "$HOME", "100%", "--", "a b", "\udcff")
    assert arguments == ["$HOME", "100%", "--", "a b", "\udcff"]
    assert environment["EXTRA"] == "1"
    assert environment["XDG_RUNTIME_DIR"] == str(killing.root / f"run/user/{killing.uid}")
    assert "KTJOB_DETACH_ARGV" not in environment
    assert is_detached
    (call,) = calls(record)
    assert {"--user", "--scope", "--collect", "--property=OOMPolicy=continue"} <= set(call)
    assert call[call.index("--") + 1 :] == program.command("jobs.detach")


def test_an_older_systemd_that_does_not_know_the_property(
    killing: Logind, stand_in: Callable[[str], Path], spawn: Spawn, tmp_path: Path
) -> None:
    """OOMPolicy= of scopes came with systemd 253: asked again without it, and nothing is said."""
    record = stand_in("if any('OOMPolicy' in word for word in sys.argv): sys.exit(1)")
    spawn(killing)
    first, second = calls(record)
    assert "--property=OOMPolicy=continue" not in second
    names = {word for call in (first, second) for word in call if word.startswith("--unit=")}
    assert len(names) == 2
    assert "could not leave" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("sys.stderr.write('Failed to connect to bus\\n'); sys.exit(1)", "exited with 1"),
        ("os.kill(os.getpid(), 9)", "exited with -9"),
    ],
)
def test_where_it_fails_the_job_is_started_all_the_same(
    killing: Logind,
    stand_in: Callable[[str], Path],
    spawn: Spawn,
    tmp_path: Path,
    behaviour: str,
    words: str,
) -> None:
    """And the log says what failed and what it means."""
    stand_in(behaviour)
    assert spawn(killing, "x")[0] == ["x"]
    log = (tmp_path / "log").read_text()
    assert "could not leave session-7.scope" in log and words in log
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0


def test_where_it_hangs_it_is_killed(
    killing: Logind,
    stand_in: Callable[[str], Path],
    spawn: Spawn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asked once only, although there is a second way to ask."""
    monkeypatch.setattr(detach, "LEAVE_SECONDS", 2.0)
    record = stand_in("")
    hanging = tmp_path / "bin" / "systemd-run"  # a shell, which is there in no time
    hanging.write_text(f"#!/bin/sh\necho [] >> '{record}'; echo $$ >&2; exec sleep 600\n")
    assert spawn(killing, "x")[0] == ["x"]
    assert len(calls(record)) == 1
    log = (tmp_path / "log").read_text()
    assert "did not answer" in log
    assert not Path(f"/proc/{log.split()[0]}").exists()


def test_without_need_nothing_is_asked(
    killing: Logind, stand_in: Callable[[str], Path], spawn: Spawn
) -> None:
    """KillUserProcesses=no, or no session: systemd-run is not even started."""
    record = stand_in("")
    (killing.root / "etc/systemd/logind.conf").write_text("KillUserProcesses=no\n")
    spawn(killing)
    (killing.root / "etc/systemd/logind.conf").write_text("KillUserProcesses=yes\n")
    (killing.root / "proc/self/cgroup").write_text("0::/system.slice/cron.service\n")
    spawn(killing)
    assert not record.exists()


def test_where_nobody_tells_lingering_decides(
    killing: Logind, stand_in: Callable[[str], Path]
) -> None:
    """Without it the manager's end is certain, and the session's end may do nothing."""
    stand_in("")
    (killing.root / "etc/systemd/logind.conf").unlink()
    assert logout.way_out(os.environ, killing) is None
    killing.linger_file.parent.mkdir(parents=True)
    killing.linger_file.touch()
    assert logout.way_out(os.environ, killing) is not None


def test_the_managers_address_is_ours_and_not_that_of_who_called_su(
    killing: Logind, stand_in: Callable[[str], Path], tmp_path: Path
) -> None:
    """su keeps the variables; root may look into the other's folder, but it is not root's."""
    stand_in("")
    own = str(killing.root / f"run/user/{killing.uid}")
    others = {"XDG_RUNTIME_DIR": str(tmp_path / "other"), "DBUS_SESSION_BUS_ADDRESS": "unix:path=x"}
    for environ in ({"PATH": os.environ["PATH"]}, {**os.environ, **others}):
        found = logout.way_out(environ, killing)
        assert found is not None
        assert found.environment == {
            "XDG_RUNTIME_DIR": own,
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={own}/bus",
        }
    given = {**os.environ, "XDG_RUNTIME_DIR": own, "DBUS_SESSION_BUS_ADDRESS": "unix:abstract=y"}
    kept = logout.way_out(given, killing)
    assert kept is not None
    assert kept.environment["DBUS_SESSION_BUS_ADDRESS"] == "unix:abstract=y"
    (Path(own) / "systemd/private").unlink()
    assert logout.way_out(given, killing) is None
