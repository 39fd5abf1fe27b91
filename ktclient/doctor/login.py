"""What happens to jobs at logout and at boot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jobs.processes import identity
from jobs.system import cgroup, logout, systemd_unit, user_manager
from ktclient.config import settings as config
from ktclient.config.settings import Settings
from ktclient.doctor.finding import Finding, fail, ok, warn
from ktclient.doctor.machine import Machine


def logind(settings: Settings, machine: Machine) -> Iterator[Finding]:
    """Whether logind would kill the live runner, or one started from here."""
    here = machine.logind
    alive = identity.holder(settings.state.runner_lock)
    threat = logout.threat(alive.pid, here) if alive else None
    if threat is not None:
        found = f"the runner (process {alive.pid if alive else 0}): {threat.found}"
        cure = f"{threat.cure}. Then: kill {alive.pid if alive else 0} (running jobs continue), "
        cure += "and ktjob status starts another"
        yield (fail if threat.is_certain else warn)("logind", found, cure)
        return
    if not here.runs():
        yield ok("logind", "logind is not running: this machine does not run systemd")
        return
    threat = logout.threat("self", here)
    session = cgroup.session_in(cgroup.of(root=here.root))
    if threat is None:
        yield ok("logind", _no_threat(machine))
    elif session and logout.way_out(config.environment(), here) and here.lingers():
        found = f"a runner leaves {session.scope} with systemd-run when it starts: {threat.found}"
        yield ok("logind", found)
    else:
        yield _exposed(machine, threat)


def _no_threat(machine: Machine) -> str:
    session = cgroup.session_in(cgroup.of(root=machine.root))
    if session is None:
        return "ktjob's processes belong to no login session"
    return f"{machine.logind.kills(session).why}: logging out ends no jobs"


def _exposed(machine: Machine, threat: logout.Threat) -> Finding:
    found = f"a runner started from here dies at logout: {threat.found}"
    if not threat.is_certain:
        found = f"a runner started from here may die at logout: {threat.found}"
        found += "; Debian's and Ubuntu's packages are built so that it does not"
    cure = threat.cure
    if machine.logind.lingers() and not user_manager.scope_commands(config.environment()):
        cure = f"install systemd-run, so that ktjob can leave the session; or {cure}"
    elif machine.logind.lingers():
        cure = f"log in directly (not with su), so that ktjob can leave it; or {cure}"
    return (fail if threat.is_certain else warn)("logind", found, cure)


def boot(settings: Settings, machine: Machine) -> Iterator[Finding]:
    """The opt-in unit that starts a runner at boot: absent, stale, or without effect."""
    if not machine.logind.runs():
        return
    path = config.user_units() / systemd_unit.NAME
    served = systemd_unit.served(_text_of(path))
    reinstall = "ktjob install-unit"
    if served is None:
        found = "after a reboot, queued jobs continue with your next ktjob command; "
        yield ok("boot", found + "ktjob install-unit starts them at boot")
    elif not Path(served.python).exists():
        found = f"{path} starts {served.python}, which does not exist"
        yield warn("boot", found, reinstall)
    elif served.state != str(settings.state.root):
        found = f"{path} serves {served.state}, not {settings.state.root}"
        yield warn("boot", found, f"{reinstall}, to have it serve this one")
    elif not (path.parent / "default.target.wants" / systemd_unit.NAME).is_symlink():
        yield warn("boot", f"{path} is not enabled", f"systemctl --user enable {systemd_unit.NAME}")
    elif not machine.logind.lingers():
        found = f"{path} starts a runner at your first login, not at boot"
        yield warn("boot", found, f"loginctl enable-linger {machine.user}")
    else:
        yield ok("boot", f"{path} starts a runner at boot")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
