"""A terminal with a shell in it, whose lines are typed and timed; and what runs from it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from pathlib import Path

PROMPT = re.compile(r"@@(\d+)@@ $")
PATIENCE_SECONDS = 300.0
_ESTABLISHED = "01"
"""Of a TCP connection in /proc/net/tcp."""


class Terminal:
    """bash on a pseudo-terminal. `close` is what happens to it when its window is closed."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.pid, self._side = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            env = {**environment, "PS1": "@@$?@@ ", "TERM": "dumb"}
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], env)
        self._read()
        self.type("stty -echo cols 120")

    def type(self, line: str) -> tuple[str, float]:
        """Type one line; what it printed, and the seconds until the next prompt."""
        began = time.monotonic()
        os.write(self._side, line.encode() + b"\n")
        return self._read(), time.monotonic() - began

    def _read(self) -> str:
        said = ""
        end = time.monotonic() + PATIENCE_SECONDS
        while PROMPT.search(said) is None:
            if time.monotonic() > end:
                raise TimeoutError(f"no prompt came back:\n{said}")
            if select.select([self._side], [], [], 1)[0]:
                said += os.read(self._side, 65536).decode(errors="replace")
        return PROMPT.sub("", said.replace("\r\n", "\n")).strip()

    def close(self) -> None:
        """Close the window: the kernel sends SIGHUP, and bash passes it on to what it started."""
        os.close(self._side)
        os.waitpid(self.pid, 0)


def living(home: Path) -> list[int]:
    """The processes that have this home directory, without shells at a prompt."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            environment = (proc / "environ").read_bytes().split(b"\0")
            command = (proc / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended
        if f"HOME={home}".encode() in environment and b"--noediting" not in command:
            found.append(int(proc.name))
    return found


def memory(pids: list[int]) -> float:
    """MB of all these processes (PSS, so that shared pages count once)."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        total += int(found[1]) if found else 0
    return total / 1000


def connected(home: Path, port: int) -> list[int]:
    """Those of them that hold a connection to this port of this machine."""
    inodes = set()
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[3] == _ESTABLISHED and int(fields[2].rpartition(":")[2], 16) == port:
            inodes.add(f"socket:[{fields[9]}]")
    return [pid for pid in living(home) if inodes & _sockets(pid)]


def _sockets(pid: int) -> set[str]:
    try:
        return {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()


def kill(pids: list[int]) -> None:
    """SIGKILL to each."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
