"""Commands of `ktjob` as tests run them."""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
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
        done = ran([*ktjob_command, *words], folder)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def ran(
    command: Sequence[str],
    folder: Path | None = None,
    given: str | bytes | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` with `capture_output` and `text`; a command of `ktjob` is forked from a
    process that has imported what it needs. `given`: its stdin; None: ours."""
    body = given.encode() if isinstance(given, str) else given
    wanted = dict(os.environ if environment is None else environment)
    words = list(command)
    if words[: len(PLAIN)] == PLAIN and _at_start(wanted) == ENVIRONMENT:
        asked = {
            "argv": words[len(PLAIN) :],
            "environment": wanted,
            "folder": str(Path.cwd() if folder is None else folder),
        }
        if len(message := json.dumps(asked).encode()) <= MOST_BYTES:
            out, err, code = _server().run(message, body)
            return subprocess.CompletedProcess(words, int(code), _text(out), _text(err))
    done = subprocess.run(words, input=body, capture_output=True, cwd=folder, env=wanted)
    return subprocess.CompletedProcess(
        words, done.returncode, _text(done.stdout), _text(done.stderr)
    )


def _text(output: bytes) -> str:
    """With the line ends of Python."""
    return io.TextIOWrapper(io.BytesIO(output), "utf-8").read()


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

    def run(self, message: bytes, given: bytes | None) -> list[bytes]:
        """One command: its output, its errors and its exit code. As with `subprocess.run`, all
        that has its streams has ended when this returns."""
        pipes = [os.pipe() for _ in range(3)]
        source, sink = (None, None) if given is None else os.pipe()
        theirs = [0 if source is None else source, *(write for _, write in pipes)]
        try:
            socket.send_fds(self._line, [message], theirs)
        finally:
            for fd in theirs[source is None :]:
                os.close(fd)
        if sink is None or given is None:
            return _read_all([read for read, _ in pipes])
        writer = threading.Thread(target=_write_all, args=(sink, given))
        writer.start()
        try:
            return _read_all([read for read, _ in pipes])
        finally:
            writer.join()


def _write_all(fd: int, given: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(fd, "wb") as file:
        file.write(given)


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
