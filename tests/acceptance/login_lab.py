"""A machine with a real systemd user manager and login sessions that end, inside of this one.

A cgroup of its own, seen as the root by those in it (cgroup and mount namespaces), with a /run and
an /etc/systemd of its own. `systemd --user` runs there as on any machine. A session is what logind
makes of one: a cgroup with that name, all of whose processes are killed when it ends. There is no
logind, for that needs to be the machine's: whether it would kill, we read from its file as always.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from support.patience import HANG_SECONDS

_SYSTEMD = Path("/lib/systemd/systemd")
_SETUP = """
set -eu
mount --make-rprivate /
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /run
mount -t tmpfs none /etc/systemd
mkdir -p /run/systemd/system /run/user/0 "$LAB_LINGER"
chmod 700 /run/user/0
mount -t tmpfs none "$LAB_LINGER"
mkdir -p /sys/fs/cgroup/user.slice/user-0.slice/user@0.service
echo $$ > /sys/fs/cgroup/user.slice/user-0.slice/user@0.service/cgroup.procs
export XDG_RUNTIME_DIR=/run/user/0
exec "$LAB_SYSTEMD" --user
"""
_LINGER = "/var/lib/systemd/linger"


def missing() -> str | None:
    """What this machine lacks for a lab, in words; None when a lab can be built here."""
    if os.geteuid() != 0:
        return "only root may make cgroup namespaces"
    programs = ("unshare", "nsenter", "systemd-run", "systemctl")
    lacking = [name for name in programs if shutil.which(name) is None]
    if lacking or not _SYSTEMD.exists():
        return f"not installed: {', '.join(lacking) or 'systemd'}"
    return _refusal()


@functools.cache
def _refusal() -> str | None:
    """Why none can be made (a container without the right); found by making one."""
    try:
        with tempfile.TemporaryDirectory() as folder, login_lab(Path(folder)):
            return None
    except (OSError, subprocess.SubprocessError, TimeoutError) as error:
        return f"no systemd user manager can be run: {error}"


@dataclass(frozen=True)
class LoginLab:
    """One such machine; everybody on it is root."""

    folder: Path
    """Root's home there."""
    cgroup: Path
    pid: int
    """The user manager."""

    def run(
        self, session: str, *command: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a login session, which begins with its first command."""
        place = self._session(session)
        place.mkdir(parents=True, exist_ok=True)
        inside = f"/sys/fs/cgroup/{place.relative_to(self.cgroup)}/cgroup.procs"
        script = f'echo $$ > {inside}; exec "$@"'
        environ = {**os.environ, "HOME": str(self.folder), **(env or {})}
        for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DBUS_SESSION_BUS_ADDRESS"):
            environ.pop(name, None)
        return subprocess.run(
            [*self._enter(), "sh", "-c", script, "sh", *command],
            env=environ,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )

    def systemctl(self, *words: str) -> str:
        """What `systemctl --user` prints; raises when it fails."""
        return subprocess.run(
            [*self._enter(), "systemctl", "--user", *words],
            env={**os.environ, "XDG_RUNTIME_DIR": "/run/user/0"},
            check=True,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        ).stdout

    def log_out(self, session: str) -> None:
        """End a session as logind does where it kills: its whole cgroup."""
        (self._session(session) / "cgroup.kill").write_text("1")
        self._await_empty(self._session(session))

    def configure(self, logind: str, *, linger: bool) -> None:
        """Write logind.conf, and switch root's lingering on or off."""
        within = Path(f"/proc/{self.pid}/root")
        (within / "etc/systemd/logind.conf").write_text(logind)
        file = within / _LINGER.lstrip("/") / "root"
        file.touch() if linger else file.unlink(missing_ok=True)

    def cgroup_of(self, pid: int) -> str:
        """Where a process is, below the lab's root."""
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        path = next(line[3:] for line in lines if line.startswith("0::"))
        return path.partition(self.cgroup.name)[2]

    def _enter(self) -> list[str]:
        return ["nsenter", "--target", str(self.pid), "--mount", "--cgroup", "--wd=/"]

    def _session(self, name: str) -> Path:
        return self.cgroup / "user.slice" / "user-0.slice" / f"{name}.scope"

    @staticmethod
    def _await_empty(cgroup: Path) -> None:
        _until(lambda: not (cgroup / "cgroup.procs").read_text(), f"processes left in {cgroup}")


@contextlib.contextmanager
def login_lab(folder: Path) -> Iterator[LoginLab]:
    """A lab with this folder as root's home. Everything in it is killed at the end."""
    cgroup = Path(tempfile.mkdtemp(prefix="ktjob-lab-", dir=_cgroup_root()))
    log = folder / "user-manager.log"
    script = f"echo $$ > '{cgroup}/cgroup.procs'; exec unshare --cgroup --mount sh -c \"$0\""
    environ = {**os.environ, "HOME": str(folder), "LAB_SYSTEMD": str(_SYSTEMD)}
    environ.pop("XDG_CONFIG_HOME", None)
    with log.open("w") as output, contextlib.ExitStack() as cleanup:
        process = subprocess.Popen(
            ["sh", "-c", script, _SETUP],
            env={**environ, "LAB_LINGER": _LINGER},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        cleanup.callback(_clear, cgroup, process)
        private = Path(f"/proc/{process.pid}/root/run/user/0/systemd/private")
        _until(
            lambda: private.exists() or process.poll() is not None, f"no user manager; see {log}"
        )
        if process.poll() is not None:
            raise OSError(log.read_text().strip() or "it ended")
        yield LoginLab(folder, cgroup, process.pid)


def _cgroup_root() -> Path:
    hybrid = Path("/sys/fs/cgroup/unified")
    return hybrid if hybrid.is_dir() else Path("/sys/fs/cgroup")


def _clear(cgroup: Path, process: subprocess.Popen[bytes]) -> None:
    """Kill all that is in the cgroup, ours alone, and remove it."""
    (cgroup / "cgroup.kill").write_text("1")
    process.kill()  # where it had not entered the cgroup yet
    process.wait()
    events = cgroup / "cgroup.events"
    _until(lambda: "populated 0" in events.read_text(), f"{cgroup} does not get empty")
    for place in sorted(cgroup.rglob("*/"), key=lambda path: len(path.parts), reverse=True):
        if place.is_dir():
            place.rmdir()
    cgroup.rmdir()


def _until(holds: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + HANG_SECONDS
    while not holds():
        if time.monotonic() > give_up:
            raise TimeoutError(what)
        time.sleep(0.02)
