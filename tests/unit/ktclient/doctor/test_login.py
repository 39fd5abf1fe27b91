"""`ktjob doctor` about logout and boot, on machines that are folders of files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.system import systemd_unit
from ktclient.doctor import Finding, Severity

IN_SESSION = "0::/user.slice/user-1000.slice/session-3.scope\n"
IN_SESSION_V1 = (
    "4:memory:/user.slice\n1:name=systemd:/user.slice/user-1000.slice/session-c2.scope\n"
)
IN_MANAGER = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/tmux.scope\n"
IN_SERVICE = "0::/system.slice/cron.service\n"
Files = dict[str, str]
Look = Callable[..., Finding]


def systemd(cgroup: str, conf: str | None = None, **more: str) -> Files:
    files = {"run/systemd/system/x": "", "proc/self/cgroup": cgroup, **more}
    return files if conf is None else {**files, "etc/systemd/logind.conf": conf}


LINGER = {"var/lib/systemd/linger/me": ""}


@pytest.mark.parametrize(
    ("files", "severity", "words"),
    [
        ({"proc/self/cgroup": IN_SESSION}, "ok", "logind is not running"),
        (systemd(IN_SERVICE, "KillUserProcesses=yes\n"), "ok", "no login session"),
        (systemd(IN_SESSION, "[Login]\nKillUserProcesses=no\n"), "ok", "KillUserProcesses=no"),
        (systemd(IN_SESSION, "[Login]\nKillUserProcesses=yes\n"), "fail", "session-3.scope"),
        (systemd(IN_SESSION_V1, "[Login]\nKillUserProcesses = yes\n"), "fail", "session-c2.scope"),
        (systemd(IN_SESSION, "#KillUserProcesses=no\n"), "ok", "the default here is no"),
        (systemd(IN_SESSION, "#KillUserProcesses=yes\n"), "warn", "is not set"),
        (
            systemd(IN_SESSION, "#KillUserProcesses=no\n#KillUserProcesses=yes\n"),
            "warn",
            "is not set",
        ),
        (systemd(IN_SESSION, ";KillUserProcesses=yes\n"), "warn", "is not set"),
        (systemd(IN_SESSION), "warn", "is not set"),
        (systemd(IN_SESSION, "KillUserProcesses=no\nKillUserProcesses=yes\n"), "fail", "=yes"),
        (systemd(IN_SESSION, "KillUserProcesses=yes\nKillUserProcesses=\n"), "warn", "is not set"),
        (systemd(IN_SESSION, "KillUserProcesses=yes\nKillExcludeUsers=you me\n"), "ok", "Exclude"),
        (systemd(IN_SESSION, "KillUserProcesses=yes\nKillOnlyUsers=you\n"), "ok", "KillOnlyUsers"),
        (
            systemd(IN_SESSION, "KillUserProcesses=no\nKillOnlyUsers=me you\n"),
            "fail",
            "includes me",
        ),
        (systemd(IN_MANAGER), "fail", "last logout"),
        (systemd(IN_MANAGER, **LINGER), "ok", "no login session"),
    ],
)
def test_logind(look_at: Look, files: Files, severity: str, words: str) -> None:
    """What the session's end does to us, by cgroup, setting and linger."""
    finding = look_at("logind", files)
    assert finding.severity.value == severity
    assert words in finding.found
    assert (finding.cure is None) == (severity == "ok")


def test_a_drop_in_wins_and_the_last_of_them_by_name(look_at: Look) -> None:
    """In /etc, /run and /usr/lib alike; a file in /etc hides its namesake in /usr/lib."""
    files = {
        "usr/lib/systemd/logind.conf": "KillUserProcesses=no\n",
        "etc/systemd/logind.conf": "[Login]\n",
        "etc/systemd/logind.conf.d/10-a.conf": "KillUserProcesses=no\n",
        "run/systemd/logind.conf.d/20-b.conf": "KillUserProcesses=yes\n",
        "usr/lib/systemd/logind.conf.d/30-c.conf": "KillUserProcesses=no\n",
        "etc/systemd/logind.conf.d/30-c.conf": "# nothing\n",
    }
    finding = look_at("logind", systemd(IN_SESSION, **files))
    assert finding.severity is Severity.FAIL
    assert "20-b.conf" in finding.found


def test_the_cure_names_linger_only_where_it_is_off(look_at: Look) -> None:
    """With it on, what is missing is a user manager that we can reach from here."""
    yes = systemd(IN_SESSION, "KillUserProcesses=yes\n")
    assert "enable-linger me" in str(look_at("logind", yes).cure)
    with_linger = look_at("logind", {**yes, **LINGER})
    assert with_linger.severity is Severity.FAIL
    assert "enable-linger" not in str(with_linger.cure)


def test_a_session_that_we_leave_is_no_danger(look_at: Look, tmp_path: Path) -> None:
    """Killing, but lingering is on, and the user's manager and systemd-run are there."""
    program = tmp_path / "bin" / "systemd-run"
    program.parent.mkdir()
    program.touch(0o755)
    uid = os.geteuid()
    files = systemd(f"0::/user.slice/user-{uid}.slice/session-3.scope\n", "KillUserProcesses=1\n")
    files[f"run/user/{uid}/systemd/private"] = ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(program.parent))
        patch.delenv("XDG_RUNTIME_DIR", raising=False)
        assert look_at("logind", files, uid=uid).severity is Severity.FAIL
        finding = look_at("logind", {**files, **LINGER}, uid=uid)
        assert (finding.severity, "a runner leaves" in finding.found) == (Severity.OK, True)
        program.unlink()
        finding = look_at("logind", files, uid=uid)
        assert finding.severity is Severity.FAIL
        assert "install systemd-run" in str(finding.cure)


def test_the_runner_that_lives_counts_more_than_where_we_are(
    look_at: Look, state: StateDir
) -> None:
    """It was started from a session that ends before ours; here nothing would be wrong."""
    lock = identity.hold(state.runner_lock)
    assert lock is not None
    lock.sign()
    files = systemd(IN_SERVICE, "KillUserProcesses=yes\n")
    assert look_at("logind", files).severity is Severity.OK
    finding = look_at("logind", {**files, f"proc/{os.getpid()}/cgroup": IN_SESSION})
    assert finding.severity is Severity.FAIL
    assert f"(process {os.getpid()})" in finding.found
    assert f"kill {os.getpid()} " in str(finding.cure)
    lock.release()


def test_sudo_does_not_leave_the_session_of_who_called_it(look_at: Look) -> None:
    """logind goes by the login: root's exemption is nothing to a process of root's in it."""
    files = systemd(IN_SESSION, "KillUserProcesses=yes\n")
    finding = look_at("logind", files, user="root", uid=0)
    assert finding.severity is Severity.FAIL
    assert "enable-linger root" in str(finding.cure)


def test_root_is_spared_by_default(look_at: Look) -> None:
    """logind.conf(5): KillExcludeUsers defaults to root."""
    files = systemd(IN_SESSION, "KillUserProcesses=yes\n")
    assert look_at("logind", files, user="root").severity is Severity.OK


def unit_for(state: StateDir, python: str) -> str:
    return systemd_unit.render(systemd_unit.BootUnit(python, str(state.root), [python], {}))


def test_the_boot_unit(
    look_at: Look, state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absent is no fault; stale, not enabled or before a login only, are."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    path = tmp_path / "xdg/systemd/user/ktjob.service"
    link = path.parent / "default.target.wants/ktjob.service"
    link.parent.mkdir(parents=True)
    assert "install-unit" in look_at("boot", systemd(IN_SERVICE)).found
    seen = []
    for text, more in (
        (unit_for(state, "/gone/python"), {}),
        (unit_for(StateDir(tmp_path / "other"), sys.executable), {}),
        (unit_for(state, sys.executable), {}),
        (unit_for(state, sys.executable), {"linked": ""}),
        (unit_for(state, sys.executable), LINGER),
    ):
        path.write_text(text)
        if more and not link.is_symlink():
            link.symlink_to(path)
        finding = look_at("boot", systemd(IN_SERVICE, **more))
        seen.append((finding.severity.value, (finding.cure or "").split(",")[0]))
    assert seen == [
        ("warn", "ktjob install-unit"),
        ("warn", "ktjob install-unit"),
        ("warn", "systemctl --user enable ktjob.service"),
        ("warn", "loginctl enable-linger me"),
        ("ok", ""),
    ]
