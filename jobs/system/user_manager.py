"""The user's systemd manager: its address, and the commands that use it.

It is the parent of processes that survive login sessions. Under `su`, `sudo` and cron the
environment lacks its address or has another user's, so the address is built here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs import child_environment
from jobs.system.cgroup import ROOT

ANSWER_SECONDS = 10.0
"""It answers within milliseconds, or hangs."""


def address(environ: Mapping[str, str], uid: int, root: Path = ROOT) -> dict[str, str] | None:
    """The environment by which systemd's programs find the manager of `uid`; None where no manager
    of that user runs."""
    given = environ.get("XDG_RUNTIME_DIR", "")
    own = root / f"run/user/{uid}"
    for folder in ([Path(given)] if Path(given).is_absolute() else []) + [own]:
        if not _is_of(folder / "systemd" / "private", uid):
            continue
        bus = environ.get("DBUS_SESSION_BUS_ADDRESS")
        if str(folder) != given or not bus:
            bus = f"unix:path={folder}/bus"
        return {"XDG_RUNTIME_DIR": str(folder), "DBUS_SESSION_BUS_ADDRESS": bus}
    return None


def _is_of(path: Path, uid: int) -> bool:
    """Whether the manager's socket exists and belongs to that user: after `su`, root still has the
    variables of the calling user, and may read that user's folder."""
    try:
        return path.lstat().st_uid == uid
    except OSError:
        return False


def scope_commands(environ: Mapping[str, str]) -> list[list[str]]:
    """Command prefixes that run a command in a scope of its own below the user manager, the best
    first; none without systemd-run.

    With a scope, systemd-run itself executes the command: environment, streams and inherited pipes
    stay (systemd-run(1)). Each scope has a new name, because workers may still be in the scope of
    the runner before.
    """
    program = shutil.which("systemd-run", path=environ.get("PATH"))
    if program is None:
        return []
    words = ["--user", "--scope", "--quiet", "--collect", "--no-ask-password"]
    # Without this, systemd stops the whole scope when the kernel kills one of its processes for
    # memory. Older versions of systemd do not do that and refuse the unknown property.
    policies: tuple[list[str], ...] = (["--property=OOMPolicy=continue"], [])
    return [
        [program, *words, *policy, f"--unit=ktjob-{os.urandom(4).hex()}", "--"]
        for policy in policies
    ]


def systemctl(words: Sequence[str], environ: Mapping[str, str], uid: int) -> str | None:
    """Run `systemctl --user` with these arguments. Returns an error message, or None on success."""
    where = address(environ, uid)
    program = shutil.which("systemctl", path=environ.get("PATH"))
    if program is None or where is None:
        return "no systemd user manager is reachable from this session"
    try:
        done = subprocess.run(
            [program, "--user", "--no-ask-password", *words],
            env={**child_environment.inherited(environ), **where},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return (
        done.stderr.decode(errors="replace").strip() or f"systemctl exited with {done.returncode}"
    )
