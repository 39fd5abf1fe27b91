"""A laptop, a server and an SSH link between them, to be cut: two network namespaces, a real sshd.

Owns the machinery that stands for the world outside of ktjob. It knows nothing of ktjob, and
touches no address, file or process that it did not make itself.
"""

from __future__ import annotations

import functools
import os
import pty
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from support.patience import HANG_SECONDS

LAPTOP_ADDRESS = "10.231.7.1"
SERVER_ADDRESS = "10.231.7.2"
"""Both exist inside namespaces only, so any number of labs may run at once."""
LINK = "link0"
_GLANCE = 0.05
"""Seconds between two looks at something that gives no event."""


def missing() -> str | None:
    """What this machine lacks for a lab, in words; None when a lab can be built here."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    programs = ("ip", "setsid", "ssh", "sshd", "ssh-keygen")
    lacking = [name for name in programs if _program(name) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    return _refusal_of_namespaces()


@functools.cache
def _refusal_of_namespaces() -> str | None:
    """Why no linked pair can be made (a container without the right); found by making one."""
    try:
        with linked_namespaces() as (laptop, _):
            ip("netns", "exec", laptop, "true")
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not permitted: {error.stderr.strip()}"
    return None


def _program(name: str) -> str | None:
    """Its path. sshd and ip are for root, and root's PATH is not always set up for root."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin")


def _path(name: str) -> str:
    found = _program(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed")
    return found


def ip(*words: str) -> str:
    command = [_path("ip"), *words]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=HANG_SECONDS
    ).stdout


def until(
    holds: Callable[[], bool], what: str, seconds: float = HANG_SECONDS, every: float = _GLANCE
) -> None:
    """Return as soon as `holds()`; raise TimeoutError naming `what` after `seconds`."""
    give_up = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > give_up:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(every)


@dataclass(frozen=True)
class Process:
    """One process, told from a later one with its pid by the time at which it started."""

    pid: int
    started: int
    parent: int = field(compare=False)
    name: str = field(compare=False)

    def is_alive(self) -> bool:
        """False for a zombie too: it runs nothing any more."""
        return _process(self.pid) == self

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal exactly this process, if it is still there."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def command_line(self) -> str:
        """Its arguments, joined; empty when it is gone."""
        with suppress(OSError):
            words = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
            return shlex.join(os.fsdecode(word) for word in words if word)
        return ""


def _process(pid: int) -> Process | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name may hold spaces and brackets itself: count the fields from its last bracket.
    name, fields = (
        stat[stat.index("(") + 1 : stat.rindex(")")],
        stat[stat.rindex(")") + 2 :].split(),
    )
    return None if fields[0] in "ZX" else Process(pid, int(fields[19]), int(fields[1]), name)


def _descendants(pid: int) -> list[Process]:
    """All living processes below `pid`, parents before children."""
    alive = [
        found for name in os.listdir("/proc") if name.isdigit() and (found := _process(int(name)))
    ]
    below: list[Process] = []
    generation = {pid}
    while children := [one for one in alive if one.parent in generation]:
        below += children
        generation = {one.pid for one in children}
    return below


def _end(processes: Iterable[Process], what: str) -> None:
    """SIGKILL each and see it gone."""
    mourned = list(processes)
    for one in mourned:
        one.kill()
    until(lambda: not any(one.is_alive() for one in mourned), f"{what} dead after SIGKILL")


@dataclass
class Lab:
    """The two machines. `folder` holds keys, sshd's configuration and log, and what ssh showed."""

    folder: Path
    laptop: str
    server: str
    sshd: subprocess.Popen[bytes]
    _clients: list[_Client] = field(default_factory=list)

    def ssh(self, command: list[str], *, tty: bool) -> subprocess.Popen[bytes]:
        """Run `command` on the server from the laptop, and go on at once.

        With `tty`, as from a terminal window: a pseudo-terminal on both ends, which hangs up on
        the command when its sshd dies. What the client shows is in `output`.
        """
        shown = self.folder / f"ssh-{len(self._clients)}.out"
        argv = self._ssh_argv(command, tty)
        client = _in_terminal(argv, shown) if tty else _in_background(argv, shown)
        self._clients.append(client)
        return client.process

    def output(self, process: subprocess.Popen[bytes]) -> str:
        """What one `ssh` client has shown so far, standard error included."""
        [client] = [one for one in self._clients if one.process is process]
        return client.shown.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")

    def run(
        self, command: list[str], *, seconds: float = HANG_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` on the server over SSH, without a terminal, to its end."""
        return subprocess.run(
            self._ssh_argv(command, tty=False),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def server_command(self, argv: list[str]) -> list[str]:
        """`argv` as run on the server itself, with no SSH between."""
        return [_path("ip"), "netns", "exec", self.server, *argv]

    def cut_link(self) -> None:
        """The laptop loses its network. Nobody is told: no packet of farewell is sent."""
        ip("-n", self.laptop, "link", "set", LINK, "down")

    def restore_link(self) -> None:
        """The laptop's network is back, with the same address."""
        ip("-n", self.laptop, "link", "set", LINK, "up")

    def sessions(self) -> list[int]:
        """The pids of sshd's processes that each serve one connection."""
        return [one.pid for one in self._session_processes()]

    def kill_sessions(self) -> None:
        """End every connection on the server's side, as an idle timeout or a rebooted laptop does.

        Returns when none is left. What the sessions ran is not touched: whether it survives is
        what the lab is for.
        """
        _end(self._session_processes(), "sshd sessions")
        until(lambda: not self.sessions(), "no sshd session left")

    def session_commands(self) -> list[Process]:
        """What runs inside the sessions: everything below them that is not sshd."""
        return [one for one in _descendants(self.sshd.pid) if not _is_sshd(one)]

    def server_processes(self) -> list[Process]:
        """What runs on the server, detached or not, except sshd. All of it began in this lab."""
        pids = [int(word) for word in ip("netns", "pids", self.server).split()]
        found = [one for pid in pids if (one := _process(pid))]
        ours = {self.sshd.pid, *self.sessions()}
        return [one for one in found if one.pid not in ours]

    def end_server_processes(self) -> None:
        """End what a test left running on the server: politely, then not."""
        left = self.server_processes()
        for one in left:
            one.kill(signal.SIGTERM)
        with suppress(TimeoutError):
            until(lambda: not any(one.is_alive() for one in left), "left after SIGTERM", 5.0)
        _end(self.server_processes(), "processes on the server")

    def close(self) -> None:
        """End the SSH machinery: clients, sessions, sshd. Not what the sessions had started."""
        for client in self._clients:
            client.close()
        self.kill_sessions()

    def _session_processes(self) -> list[Process]:
        return [one for one in _descendants(self.sshd.pid) if _is_sshd(one)]

    def _ssh_argv(self, command: list[str], tty: bool) -> list[str]:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "10",
            "GlobalKnownHostsFile": "/dev/null",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": str(self.folder / "known_hosts"),
        }
        return [
            *(_path("ip"), "netns", "exec", self.laptop, _path("ssh"), "-F", "none"),
            *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
            *("-i", str(self.folder / "user_key"), *(["-tt"] if tty else [])),
            *(f"root@{SERVER_ADDRESS}", "--", shlex.join(command)),
        ]


def _is_sshd(process: Process) -> bool:
    return process.name.startswith("sshd")  # "sshd-session" from OpenSSH 9.8 on


@dataclass
class _Client:
    """One ssh client, and the thread that reads its terminal."""

    process: subprocess.Popen[bytes]
    shown: Path
    reader: threading.Thread | None = None

    def close(self) -> None:
        self.process.kill()
        self.process.wait(HANG_SECONDS)
        if self.reader is not None:
            self.reader.join(HANG_SECONDS)


def _in_background(argv: list[str], shown: Path) -> _Client:
    with shown.open("wb") as file:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    return _Client(process, shown)


def _in_terminal(argv: list[str], shown: Path) -> _Client:
    """Start `argv` with a new pseudo-terminal as its streams and its controlling terminal."""
    window, terminal = pty.openpty()
    shown.touch()
    try:
        # Not a group leader, so setsid has no need to fork: the pid stays that of ssh.
        process = subprocess.Popen(
            [_path("setsid"), "--ctty", *argv], stdin=terminal, stdout=terminal, stderr=terminal
        )
    except BaseException:
        os.close(window)
        raise
    finally:
        os.close(terminal)
    reader = threading.Thread(target=_copy, args=(window, shown), daemon=True)
    reader.start()
    return _Client(process, shown, reader)


def _copy(window: int, shown: Path) -> None:
    """Write down what appears in the window until no process has the terminal open."""
    try:
        with shown.open("wb", buffering=0) as file:
            while block := _read(window):
                file.write(block)
    finally:
        os.close(window)


def _read(window: int) -> bytes:
    try:
        return os.read(window, 65536)
    except OSError:  # EIO is how Linux says that the terminal's last user has gone
        return b""


@contextmanager
def ssh_lab(folder: Path) -> Iterator[Lab]:
    """Build a lab with its files in `folder`; take it down again, whatever happened in it."""
    with ExitStack() as undo:
        laptop, server = undo.enter_context(linked_namespaces())
        _make_keys(folder)
        sshd = _start_sshd(folder, server)
        undo.callback(sshd.wait, HANG_SECONDS)
        undo.callback(sshd.kill)
        lab = Lab(folder, laptop, server, sshd)
        undo.callback(lab.close)
        until(lambda: _accepts(lab), "sshd accepts connections")
        yield lab


@contextmanager
def linked_namespaces() -> Iterator[tuple[str, str]]:
    """Two network namespaces that reach each other and nothing else."""
    token = secrets.token_hex(4)
    laptop, server = f"ktjob-{token}-laptop", f"ktjob-{token}-server"
    with ExitStack() as undo:
        for name in (laptop, server):
            ip("netns", "add", name)
            undo.callback(ip, "netns", "delete", name)
        ip(*f"-n {laptop} link add {LINK} type veth peer name {LINK} netns {server}".split())
        for name, address in ((laptop, LAPTOP_ADDRESS), (server, SERVER_ADDRESS)):
            ip("-n", name, "address", "add", f"{address}/30", "dev", LINK)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", LINK, "up")
        yield laptop, server


def _make_keys(folder: Path) -> None:
    for name in ("host_key", "user_key"):
        command = [_path("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=HANG_SECONDS)
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")


def _start_sshd(folder: Path, server: str) -> subprocess.Popen[bytes]:
    config = folder / "sshd_config"
    lines = [
        "Port 22",
        f"ListenAddress {SERVER_ADDRESS}",
        f'HostKey "{folder / "host_key"}"',
        f'AuthorizedKeysFile "{folder / "authorized_keys"}"',
        f'PidFile "{folder / "sshd.pid"}"',
        "KbdInteractiveAuthentication no",
        "PasswordAuthentication no",
        "PermitRootLogin prohibit-password",
        "PrintLastLog no",
        "PrintMotd no",
        "StrictModes no",
        "UseDNS no",
        "UsePAM no",
    ]
    config.write_text("\n".join(lines) + "\n")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd refuses to start without it
    command = [_path("ip"), "netns", "exec", server, _path("sshd"), "-D", "-e", "-f", str(config)]
    with (folder / "sshd.log").open("wb") as log:
        # `ip netns exec` replaces itself with the command: this is sshd's own pid.
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _accepts(lab: Lab) -> bool:
    """Whether the laptop can connect to sshd. Raises RuntimeError when sshd has ended."""
    if lab.sshd.poll() is not None:
        said = (lab.folder / "sshd.log").read_text(errors="replace")
        raise RuntimeError(f"sshd ended with status {lab.sshd.returncode}: {said}")
    connect = f"import socket; socket.create_connection(({SERVER_ADDRESS!r}, 22), 1)"
    command = [_path("ip"), "netns", "exec", lab.laptop, sys.executable, "-I", "-S", "-c", connect]
    return subprocess.run(command, capture_output=True, timeout=HANG_SECONDS).returncode == 0
