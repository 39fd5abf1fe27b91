"""What logging out does to a process of ours, and the way out.

A session of its own (setsid) does not leave the login session's cgroup, and that is what logind
ends where KillUserProcesses is on. The user's manager lives beside the sessions: what runs below
it ends only after the user's last logout, and with lingering not even then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.system import cgroup, user_manager
from jobs.system.logind import Logind


@dataclass(frozen=True)
class Threat:
    """How logging out ends a process, and what the user can do about it."""

    found: str
    cure: str
    is_certain: bool
    """False where no file tells whether this logind kills."""


@dataclass(frozen=True)
class WayOut:
    """How to start something outside of the session that we are in."""

    prefixes: list[list[str]]
    """To be tried in this order: words before the command."""
    environment: dict[str, str]
    scope: str
    """The session to be left."""


def threat(pid: int | str = "self", logind: Logind | None = None) -> Threat | None:
    """What logging out does to a process; None when it does nothing. Reads a few small files."""
    here = logind or Logind()
    cgroups = cgroup.of(pid, here.root)
    session, manager = cgroup.session_in(cgroups), cgroup.user_manager_in(cgroups)
    linger = f"loginctl enable-linger {here.user}"
    if not here.runs() or (here.lingers() and not session):
        return None
    if manager:
        found = f"it runs in {manager}, which ends with {here.user}'s last logout"
        return Threat(f"{found}: {here.linger_file} does not exist", linger, True)
    kills = here.kills(session) if session else None
    if session is None or kills is None or kills.answer is False:
        return None
    cure = "set KillUserProcesses=no in /etc/systemd/logind.conf (as root)"
    if not here.lingers():
        cure = f"{linger}, before the runner starts; or {cure}"
    found = f"it runs in {session.scope}, whose end kills it: {kills.why}"
    return Threat(found, cure, kills.answer is True)


def way_out(environ: Mapping[str, str], logind: Logind | None = None) -> WayOut | None:
    """How to leave the session that we are in; None when that is not needed or not possible.

    Where the setting is known to be on this is done without lingering too: then what we start
    lives at least until the last logout, and for good once lingering is switched on. Where it is
    unknown it would be the worse place without lingering, because the manager's end is certain.
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
