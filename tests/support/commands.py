"""Commands of `ktjob` as tests run them."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from support import left_open

Run = Callable[..., "subprocess.CompletedProcess[str]"]
"""A `ktjob` command by its words; its output as text."""
SERVER = Path(__file__).with_name("command_server.py")
PLAIN = [sys.executable, "-m", "ktclient"]
AT_START = ("PYTHON", "LANG", "LC_", "LD_", "SSL_", "TZ", "MALLOC_", "OPENSSL_")
"""What an interpreter or a library reads when it starts: where a test sets such a variable, its
commands are interpreters of their own."""
MOST_BYTES = 100_000
"""Of arguments and environment in one message; more is given to an interpreter of its own."""


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(AT_START)}


ENVIRONMENT = {**_at_start(os.environ), "PYTHONUNBUFFERED": "1"}
"""As every test has it (tests/conftest.py)."""


def runner(ktjob_command: list[str], folder: Path) -> Run:
    """Runs commands in a folder. None of them may print a traceback."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        done = _run([*ktjob_command, *words], folder)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    if command[: len(PLAIN)] == PLAIN and _at_start(environment) == ENVIRONMENT:
        asked = {"argv": command[len(PLAIN) :], "environment": environment, "folder": str(folder)}
        if len(message := json.dumps(asked).encode()) <= MOST_BYTES:
            out, err, code = _server().run(message)
            return subprocess.CompletedProcess(command, int(code), out.decode(), err.decode())
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


@lru_cache
def _server() -> Server:
    """One for all tests of this process, whose end it notices."""
    return Server()


class Server:
    """`command_server.py` as a process."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        left_open.keep(self._line.fileno())
        command = [sys.executable, str(SERVER), str(theirs.fileno())]
        environment = {**os.environ, **ENVIRONMENT}
        with theirs:
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], env=environment, cwd="/"
            )
        atexit.register(self._end)

    def _end(self) -> None:
        self._line.close()
        self._process.wait()

    def run(self, message: bytes) -> list[bytes]:
        """One command: its output, its errors and its exit code. As with `subprocess.run`, all
        that has its streams has ended when this returns."""
        pipes = [os.pipe() for _ in range(3)]
        try:
            socket.send_fds(self._line, [message], [0, *(write for _, write in pipes)])
        finally:
            for _, write in pipes:
                os.close(write)
        return _read_all([read for read, _ in pipes])


def _read_all(fds: Sequence[int]) -> list[bytes]:
    """All that comes through these pipes, which are closed then."""
    found = {fd: b"" for fd in fds}
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for fd in fds:
            stack.callback(os.close, fd)
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                if more := os.read(key.fd, 1 << 16):
                    found[key.fd] += more
                else:
                    selector.unregister(key.fd)
    return list(found.values())
