"""What can kill jobs or lose them on this machine: each thing looked at, and the cure.

Looks only: nothing is created, started or repaired, but an existing database is opened as every
command opens it (migrated when it is old, its folder made private).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ktclient.config import Settings
from ktclient.doctor_machine import Machine
from ktclient.errors import KtjobError

LEAST_STATE_BYTES = 200_000_000
FEW_STATE_BYTES = 1_000_000_000
WEIGHTS_BYTES = 300_000_000
"""What fetching the embedded model needs at its highest."""
LEAST_OPEN_FILES = 256
CLOCK_SLACK_SECONDS = 60.0
_NEWEST = 20
_NO_WORDS = ("no", "false", "0", "off", "n", "f")


class Severity(str, Enum):
    """How bad it is: `FAIL` loses jobs or keeps them from running, `WARN` may."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `cure` is None where there is nothing to do."""

    severity: Severity
    about: str
    found: str
    cure: str | None = None


Check = Callable[[Settings, Machine], Iterator[Finding]]


def examine(settings: Settings, machine: Machine | None = None) -> list[Finding]:
    """All findings at once. Raises nothing for a broken machine: what cannot be looked at is a
    finding too."""
    here = machine or Machine()
    findings: dict[str, Finding] = {}  # a database that does not open is told once
    for about, check in _CHECKS:
        for finding in _tried(about, check, settings, here):
            findings.setdefault(finding.found, finding)
    return list(findings.values())


def _tried(about: str, check: Check, settings: Settings, machine: Machine) -> Iterator[Finding]:
    try:
        yield from check(settings, machine)
    except Exception as error:  # whatever is broken here, the other checks are still wanted
        yield Finding(Severity.FAIL, about, str(error) or type(error).__name__)


def _logind(_: Settings, machine: Machine) -> Iterator[Finding]:
    session, manager = machine.session_scope(), machine.user_manager()
    if not machine.has_systemd():
        yield Finding(Severity.OK, "logind", "no logind here: systemd does not run")
    elif session:
        yield _in_session(session, machine)
    elif manager and not machine.lingers():
        yield Finding(
            Severity.WARN,
            "logind",
            f"we run in {manager}, which ends with your last logout: {machine.linger_file} "
            "does not exist",
            f"loginctl enable-linger {machine.user}",
        )
    else:
        yield Finding(Severity.OK, "logind", "our processes belong to no login session")


def _in_session(session: str, machine: Machine) -> Finding:
    setting = machine.logind("KillUserProcesses")
    if setting and setting[0].lower() in _NO_WORDS:
        found = f"KillUserProcesses={setting[0]} ({setting[1]}): logging out ends nothing"
        return Finding(Severity.OK, "logind", found)
    spared = _spared(machine)
    if spared:
        found = f"{spared}: logging out ends nothing of {machine.user}'s"
        return Finding(Severity.OK, "logind", found)
    cure = "set KillUserProcesses=no in /etc/systemd/logind.conf (as root), or: "
    if not machine.lingers():
        cure += f"loginctl enable-linger {machine.user} && "
    cure += "systemd-run --user --scope ktjob submit ..."
    if setting:
        found = f"KillUserProcesses={setting[0]} ({setting[1]}) and we run in {session}"
        return Finding(Severity.FAIL, "logind", f"{found}: logging out kills the runner", cure)
    found = (
        f"KillUserProcesses is unset and we run in {session}: systemd's own default kills the "
        "runner at logout; Debian's and Ubuntu's packages are built not to"
    )
    return Finding(Severity.WARN, "logind", found, cure)


def _spared(machine: Machine) -> str | None:
    """The setting that exempts this user; root is exempt unless somebody says otherwise."""
    only, excluded = machine.logind("KillOnlyUsers"), machine.logind("KillExcludeUsers")
    if machine.user in (excluded[0] if excluded else "root").split():
        return f"KillExcludeUsers has {machine.user}"
    if only and machine.user not in only[0].split():
        return f"KillOnlyUsers has no {machine.user}"
    return None


def _state(settings: Settings, machine: Machine) -> Iterator[Finding]:
    from jobs import filesystem

    root = settings.state.root
    there = _existing(root)
    kind = filesystem.type_of(root, machine.mounts)
    is_risky = filesystem.is_network(kind) or filesystem.is_unknown_fuse(kind)
    elsewhere = "point KTJOB_HOME at a writable folder on a local disk"
    if is_risky:
        found = f"{root} is on {kind}, where SQLite fails or corrupts"
        yield Finding(Severity.FAIL, "state", found, elsewhere)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        found = f"{root} cannot be used: {there} is not a folder that we may write to"
        yield Finding(Severity.FAIL, "state", found, elsewhere)
        return
    mode = stat.S_IMODE(there.stat().st_mode)
    if there == root and mode & 0o077:
        found = f"{root} has mode {mode:04o}: others may look into it"
        yield Finding(Severity.WARN, "state", found, f"chmod 700 {root}")
    elif not is_risky:
        found = "is writable and private" if there == root else "is made by the first job"
        yield Finding(Severity.OK, "state", f"{root} {found}")


def _existing(path: Path) -> Path:
    """The path itself, or the nearest thing above it that is there."""
    return next(place for place in (path, *path.parents) if os.path.lexists(place))


def _disk(settings: Settings, machine: Machine) -> Iterator[Finding]:
    root = settings.state.root
    free = machine.free_bytes(_existing(root))
    found = f"{_megabytes(free)} free for {root}"
    cure = "free some space (ktjob gc --older-than 30d), or point KTJOB_HOME at another disk"
    if free < LEAST_STATE_BYTES:
        yield Finding(Severity.FAIL, "disk", found, cure)
    elif free < FEW_STATE_BYTES:
        yield Finding(Severity.WARN, "disk", found, cure)
    else:
        yield Finding(Severity.OK, "disk", found)


def _cache(settings: Settings, machine: Machine) -> Iterator[Finding]:
    from server_bundle.weights import SMOLLM2

    path = settings.cache / "models" / SMOLLM2.file_name
    if path.exists():
        yield Finding(Severity.OK, "cache", f"{path} is there")
        return
    free = machine.free_bytes(_existing(settings.cache))
    found = f"{_megabytes(free)} free for {settings.cache}"
    if free < WEIGHTS_BYTES:
        found += f"; fetching the embedded model needs {_megabytes(WEIGHTS_BYTES)}"
        yield Finding(Severity.WARN, "cache", found, "free some space, or set KTJOB_CACHE")
    else:
        yield Finding(Severity.OK, "cache", f"{found}; the embedded model is not fetched yet")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 10_000_000 else f"{size / 1e6:,.0f} MB"


def _database(settings: Settings, _: Machine) -> Iterator[Finding]:
    from jobs.upkeep import Upkeep

    path = settings.state.database
    if not path.exists():
        yield Finding(Severity.OK, "database", f"{path} is made by the first job")
        return
    with Upkeep.open(settings.state) as upkeep:
        try:
            problems = upkeep.problems()
        except KtjobError as error:
            problems = [str(error)]
    cure = f"keep a copy of {path} and its -wal, then put a backup (ktjob backup) in its place"
    for problem in problems:
        yield Finding(Severity.FAIL, "database", f"{path}: {problem}", cure)
    if not problems:
        files = (path, path.with_name(f"{path.name}-wal"))
        size = sum(file.stat().st_size for file in files if file.exists())
        yield Finding(Severity.OK, "database", f"{path} is sound ({_megabytes(size)})")


def _clock(settings: Settings, _: Machine) -> Iterator[Finding]:
    from jobs import clock
    from jobs.store import Store

    newest = ""
    if settings.state.database.exists():
        with Store.open(settings.state) as store:
            for job in store.newest(_NEWEST):
                times = (job.created_at, job.started_at, job.finished_at)
                events = (event.at for event in store.events(job.id))
                newest = max([newest, *(time for time in times if time), *events])
    ahead = clock.seconds_between(clock.now(), newest) if newest else 0.0
    if ahead > CLOCK_SLACK_SECONDS:
        found = f"the newest stored time, {newest}, is {ahead:,.0f} s ahead of the clock"
        cure = "check the clock (timedatectl): it was set back; durations shown may be wrong"
        yield Finding(Severity.WARN, "clock", found, cure)
    else:
        yield Finding(Severity.OK, "clock", "no stored time lies in the future")


def _memory(_: Settings, machine: Machine) -> Iterator[Finding]:
    counted = machine.oom_kills()
    if counted is None:
        return
    kills, where = counted
    if kills:
        found = f"{kills} processes of our cgroup were killed for memory ({where})"
        cure = "give it more memory, or submit from a cgroup without the server in it"
        yield Finding(Severity.WARN, "memory", found, cure)
    else:
        yield Finding(Severity.OK, "memory", f"nothing was killed for memory ({where})")


def _runner(settings: Settings, _: Machine) -> Iterator[Finding]:
    from jobs import starting
    from jobs.model import Status
    from jobs.store import Store

    waiting = 0
    if settings.state.database.exists():
        with Store.open(settings.state) as store:
            waiting = len(store.in_status(Status.QUEUED))
    stopped = starting.stopped_runner(settings.state)
    if stopped is not None:
        found = f"process {stopped.pid} is stopped (SIGSTOP) and starts no jobs; {waiting} wait"
        cure = f"kill -CONT {stopped.pid} (or kill -9: the next ktjob command starts another)"
        yield Finding(Severity.FAIL, "runner", found, cure)
    elif starting.is_runner_alive(settings.state):
        yield Finding(Severity.OK, "runner", f"alive; {waiting} jobs wait")
    elif waiting:
        found = f"no runner lives and {waiting} jobs wait; it logs to {settings.state.runner_log}"
        yield Finding(Severity.WARN, "runner", found, "ktjob status starts one")
    else:
        yield Finding(Severity.OK, "runner", "not needed: no job waits")


def _keepalive(_: Settings, __: Machine) -> Iterator[Finding]:
    from ktclient import http

    found = (
        f"a probe each {http.KEEPALIVE_INTERVAL_SECONDS} s after {http.KEEPALIVE_IDLE_SECONDS} s "
        f"of silence, given up after {http.SILENT_PEER_SECONDS} s; set by us, not by sysctl"
    )
    yield Finding(Severity.OK, "keepalive", found)


def _limits(_: Settings, machine: Machine) -> Iterator[Finding]:
    limit = machine.open_files()
    found = f"{limit if limit is not None else 'unlimited'} open files for a process"
    if limit is not None and limit < LEAST_OPEN_FILES:
        yield Finding(Severity.WARN, "limits", found, "ulimit -n 1024, before ktjob submit")
    else:
        yield Finding(Severity.OK, "limits", found)


def _server(settings: Settings, _: Machine) -> Iterator[Finding]:
    from ktclient.servers.choose import choose

    try:
        target = choose(settings, None, None)
    except KtjobError as error:
        yield Finding(Severity.WARN, "server", str(error))
        return
    facts = target.facts
    if facts is None:
        found = f"the embedded one, to be started with the first job: {target.why}"
    else:
        found = f"{facts.url} answers ({facts.dialect}, {facts.model}): {target.why}"
    yield Finding(Severity.OK, "server", found)


_CHECKS: tuple[tuple[str, Check], ...] = (
    ("logind", _logind),
    ("state", _state),  # before anything opens the database, which makes the folder private
    ("disk", _disk),
    ("cache", _cache),
    ("database", _database),
    ("clock", _clock),
    ("memory", _memory),
    ("runner", _runner),
    ("keepalive", _keepalive),
    ("limits", _limits),
    ("server", _server),
)
