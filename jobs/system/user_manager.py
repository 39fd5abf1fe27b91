"""The user's systemd manager: how to reach it, and what we ask of it.

It is the parent of what outlives login sessions. `su`, `sudo` and cron leave its address out of
the environment, or leave somebody else's in it, so that is made here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.system.cgroup import ROOT

ANSWER_SECONDS = 10.0
"""It answers within milliseconds, or hangs."""


def address(environ: Mapping[str, str], uid: int, root: Path = ROOT) -> dict[str, str] | None:
    """The environment with which systemd's programs find the manager of `uid`; None where no
    manager of that user runs."""
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
    """Whether the manager's socket is there and that user's: `su` leaves root the variables of
    whoever called it, and root may look into their folder."""
    try:
        return path.lstat().st_uid == uid
    except OSError:
        return False


def scope_commands(environ: Mapping[str, str]) -> list[list[str]]:
    """The words before a command that run it in a scope of its own below the user's manager, the
    best first; none without systemd-run.

    A scope is run by systemd-run itself, which becomes the command: its environment, streams and
    inherited pipes stay (systemd-run(1)). It has a name of its own each time, because workers may
    still be in the scope of the runner before.
    """
    program = shutil.which("systemd-run", path=environ.get("PATH"))
    if program is None:
        return []
    words = ["--user", "--scope", "--quiet", "--collect", "--no-ask-password"]
    # Else systemd stops all of the scope when the kernel kills one of its processes for memory.
    # Older ones, which do not do that, do not know the property and refuse.
    policies: tuple[list[str], ...] = (["--property=OOMPolicy=continue"], [])
    return [
        [program, *words, *policy, f"--unit=ktjob-{os.urandom(4).hex()}", "--"]
        for policy in policies
    ]


def systemctl(words: Sequence[str], environ: Mapping[str, str], uid: int) -> str | None:
    """Run `systemctl --user` with these words. Returns what went wrong in words, None if nothing
    did."""
    where = address(environ, uid)
    program = shutil.which("systemctl", path=environ.get("PATH"))
    if program is None or where is None:
        return "no systemd user manager can be reached from here"
    try:
        done = subprocess.run(
            [program, "--user", "--no-ask-password", *words],
            env={**environ, **where},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return done.stderr.decode(errors="replace").strip() or f"it exited with {done.returncode}"
