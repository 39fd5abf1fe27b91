"""Check this machine for what can end or lose jobs, each check with a fix.

Read-only: nothing is created, started or repaired, except that an existing database is opened as
every command opens it (migrated if it is old, its folder made private).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobs.store import diagnosis
from ktclient.config.settings import Settings
from ktclient.doctor import login, process, server, storage
from ktclient.doctor.finding import Finding, Severity
from ktclient.doctor.machine import Machine

__all__ = ["Finding", "Machine", "Severity", "examine"]

Check = Callable[[Settings, Machine], Iterator[Finding]]


def examine(settings: Settings, machine: Machine | None = None) -> list[Finding]:
    """All findings. Raises nothing on a broken machine: a check that cannot run is a finding
    too."""
    here = machine or Machine()
    findings: dict[str, Finding] = {}  # a database that does not open is reported once
    for about, check in _CHECKS:
        for finding in _run_check(about, check, settings, here):
            findings.setdefault(finding.found, finding)
    return list(findings.values())


def _run_check(about: str, check: Check, settings: Settings, machine: Machine) -> Iterator[Finding]:
    try:
        yield from check(settings, machine)
    except OSError as error:  # mostly a state directory of another user: reported once
        root = settings.state.root
        is_ours = str(error.filename).startswith(f"{root}/")
        found = str(diagnosis.of_system(error, root)) if is_ours else str(error)
        yield Finding(Severity.FAIL, about, found)
    except Exception as error:  # the other checks must run whatever is broken here
        yield Finding(Severity.FAIL, about, str(error) or type(error).__name__)


_CHECKS: tuple[tuple[str, Check], ...] = (
    ("logind", login.logind),
    ("boot", login.boot),
    ("state", storage.state),  # before anything opens the database, which makes the folder private
    ("owner", storage.owner),
    ("modes", storage.modes),
    ("disk", storage.disk),
    ("cache", storage.cache),
    ("database", storage.database),
    ("clock", storage.clock),
    ("memory", process.memory),
    ("runner", process.runner),
    ("limits", process.limits),
    ("init", process.init),
    ("sleep", process.sleep),
    ("keepalive", server.keepalive),
    ("server", server.server),
)
