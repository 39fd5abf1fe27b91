"""Leaving the terminal: the only place that forks.

`spawn` starts a program that no closing terminal, SSH session or parent can end: a fresh
interpreter (never a fork of the caller, who may have threads), a session of its own (setsid), a
second fork so that it can never get a terminal back, a terminal's signals ignored, streams on a
log, and its own working directory and umask. It returns when the program has said that it is ready.

`fork_child` is the plain fork of a process that has neither threads nor connections.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from jobs import signals
from jobs.errors import DetachFailed

FORK_SECONDS = 10.0
"""How long the start of a detached process waits when there are too many processes (EAGAIN)."""
READY_FD_VARIABLE = "KTJOB_READY_FD"


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    cwd: Path,
    extra_env: Mapping[str, str] | None = None,
    ready_seconds: float = 30.0,
) -> str:
    """Start `argv` detached and return the one line with which it says that it is ready.

    The program must call `say_ready`. Raises `DetachFailed`, with the end of the log, when it
    ends before that or says nothing for `ready_seconds`.
    """
    ready, said = os.pipe()
    command = [sys.executable, "-m", "jobs.detach", "--log", str(log), "--", *argv]
    with os.fdopen(ready, "rb", buffering=0) as pipe:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(said,),
                cwd=cwd,
                env={**os.environ, **(extra_env or {}), READY_FD_VARIABLE: str(said)},
            )
        except OSError as error:
            raise DetachFailed(f"{' '.join(argv[:4])} could not be started: {error}") from error
        finally:
            os.close(said)
        process.wait()
        line = _first_line(pipe.fileno(), ready_seconds)
    if line is None:
        raise DetachFailed(
            f"{' '.join(argv[:4])} did not start. Its log, {log}, ends with:\n{tail(log)}"
        )
    return line


def say_ready(line: str) -> None:
    """Called in the spawned program: tell the waiting `spawn`, once. Harmless when not spawned."""
    fd = os.environ.pop(READY_FD_VARIABLE, None)
    if fd is None:
        return
    with contextlib.suppress(BrokenPipeError):  # the spawner was killed; nobody waits
        os.write(int(fd), line.encode() + b"\n")
    os.close(int(fd))


def fork_child(child: Callable[[], None]) -> int:
    """Fork; run `child` in a new session and exit there without unwinding. Returns the pid.

    Raises `OSError` (EAGAIN, ENOMEM) when the system has no room for another process.
    """
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        child()
        code = 0
    finally:
        _exit_now(code)


def _exit_now(code: int) -> NoReturn:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:  # also when a log is on a full disk: the child must never go on as its parent
        os._exit(code)


def redirect_streams(log: Path) -> None:
    """Put stdout and stderr at the end of `log` (0600), and stdin on nothing."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
    os.close(nothing)


def tail(log: Path, size: int = 2000) -> str:
    """The last `size` bytes of a log as text; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


def _first_line(fd: int, seconds: float) -> str | None:
    """One line from a pipe; None at its end without one, or after `seconds`."""
    give_up = time.monotonic() + seconds
    heard = b""
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        while not heard.endswith(b"\n"):
            if not selector.select(max(0.0, give_up - time.monotonic())):
                return None
            more = os.read(fd, 4096)
            if not more:
                return None
            heard += more
    return heard.decode().strip()


def _fork_patiently() -> int:
    """Fork, waiting up to `FORK_SECONDS` for room for a process."""
    give_up = time.monotonic() + FORK_SECONDS
    while True:
        try:
            return os.fork()
        except OSError:
            if time.monotonic() >= give_up:
                raise
        time.sleep(0.2)


def _main(argv: Sequence[str]) -> NoReturn:
    """The middle process: already leads its own session; forks once more and becomes `argv`."""
    parser = argparse.ArgumentParser(prog="jobs.detach")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("argv", nargs="+")
    asked = parser.parse_args(argv)
    if _fork_patiently():
        os._exit(0)
    signals.leave_the_terminal()
    os.umask(0o077)
    redirect_streams(asked.log)
    os.execvp(asked.argv[0], asked.argv)


if __name__ == "__main__":
    _main(sys.argv[1:])
