"""What a logout does to a detached process, and how to avoid it.

A process with its own session (setsid) stays in the login session's cgroup. Where
KillUserProcesses is on, logind kills that whole cgroup at logout. The user manager is outside of
all sessions: its processes end only after the user's last logout, and with lingering not even then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.system import cgroup, user_manager
from jobs.system.logind import Logind


@dataclass(frozen=True)
class Threat:
    """How a logout ends a process, and what the user can do about it."""

    found: str
    cure: str
    is_certain: bool
    """False where no file says whether logind kills processes at logout."""


@dataclass(frozen=True)
class WayOut:
    """How to start a process outside of the current login session."""

    prefixes: list[list[str]]
    """Command prefixes, to be tried in this order."""
    environment: dict[str, str]
    scope: str
    """The systemd unit of the session to leave."""


def threat(pid: int | str = "self", logind: Logind | None = None) -> Threat | None:
    """How a logout would end a process; None when it would not. Reads a few small files."""
    here = logind or Logind()
    cgroups = cgroup.of(pid, here.root)
    session, manager = cgroup.session_in(cgroups), cgroup.user_manager_in(cgroups)
    linger = f"loginctl enable-linger {here.user}"
    if not here.runs() or (here.lingers() and not session):
        return None
    if manager:
        found = f"it runs in {manager}, which ends at {here.user}'s last logout"
        return Threat(f"{found}: {here.linger_file} does not exist", linger, True)
    kills = here.kills(session) if session else None
    if session is None or kills is None or kills.answer is False:
        return None
    cure = "set KillUserProcesses=no in /etc/systemd/logind.conf (as root)"
    if not here.lingers():
        cure = f"{linger}, before the runner starts; or {cure}"
    found = f"it runs in {session.scope}, and the end of that session kills it: {kills.why}"
    return Threat(found, cure, kills.answer is True)


def way_out(environ: Mapping[str, str], logind: Logind | None = None) -> WayOut | None:
    """How to leave the current session; None when that is not needed or not possible.

    Where KillUserProcesses is known to be on, this is done also without lingering: the process then
    lives at least until the last logout, and longer once lingering is switched on. Where the
    setting is unknown and lingering is off, the process stays in the session, because the user
    manager certainly ends at the last logout.
    """
    here = logind or Logind()
    session = cgroup.session_in(cgroup.of(root=here.root))
    if session is None or not here.runs():
        return None
    kills = here.kills(session).answer
    if kills is False or (kills is None and not here.lingers()):
        return None
    where = user_manager.address(environ, here.uid, here.root)
    prefixes = user_manager.scope_commands(environ)
    return WayOut(prefixes, where, session.scope) if where and prefixes else None
