"""Detaching from the terminal: the only module that forks.

`spawn` starts a program that survives the end of the terminal, the SSH session and the parent. It
uses a new interpreter (never a fork of the caller, which may have threads), a session of its own
(setsid), a second fork so that the program can never acquire a terminal again, ignored terminal
signals, streams on a log, and its own working directory and umask. Where logind kills processes
left by a login session, the program also starts outside of the session's cgroup. `spawn` returns
when the program has reported that it is ready.

`fork_child` is the plain fork of a process that has neither threads nor connections.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from jobs import child_environment, clock, durations, private_folder, program
from jobs.errors import DetachFailed
from jobs.processes import ownership, signals
from jobs.system import no_room

if TYPE_CHECKING:  # only who spawns needs them, and most commands find a runner alive
    from jobs.system.logind import Logind
    from jobs.system.logout import WayOut

FORK_SECONDS = 10.0
"""How long a detached start retries its fork when there are too many processes (EAGAIN)."""
READY_FD_VARIABLE = "KTJOB_READY_FD"
LOAD_FIRST_VARIABLE = "KTJOB_LOAD_FIRST"
_ARGV_VARIABLE = "KTJOB_DETACH_ARGV"
"""Passes the arguments around systemd-run, which a future version will scan for `$` (the warning
about --expand-environment in systemd-run(1), from version 254 on)."""
_MIDDLE = f"{program.__package__}.detach"
LEAVE_SECONDS = 6.0
"""Timeout for systemd-run to create a scope, which usually takes some 20 ms."""


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    cwd: Path,
    extra_env: Mapping[str, str] | None = None,
    ready_seconds: float = 30.0,
    logind: Logind | None = None,
) -> str:
    """Start `argv` detached and return the line with which it reports that it is ready.

    The program must call `say_ready`. Raises `DetachFailed`, with the end of the log, when the
    program ends before that or does not report within `ready_seconds`, or when ktjob's own files
    are being replaced.
    """
    try:
        from jobs.system import logout
    except ImportError as error:  # the program's files were removed or are being replaced
        raise _failed(argv, program.incomplete(error)) from error

    if (refusal := ownership.refusal(log)) is not None:
        raise DetachFailed(f"{' '.join(argv[:4])} could not be started: {refusal}", str(refusal))
    begin = size_of(log)
    ready, said = os.pipe()
    arguments = ["--log", str(log), "--", *argv]
    env = {**child_environment.inherited(), **(extra_env or {}), READY_FD_VARIABLE: str(said)}
    with os.fdopen(ready, "rb", buffering=0) as pipe:
        try:
            os.close(open_log(log))  # the program could not say that there is no room for its log
            way_out = logout.way_out(env, logind)
            if way_out is None or not _launch_outside(way_out, arguments, said, cwd, env, log):
                with os.fdopen(open_log(log), "a") as file:  # for what Python itself may say
                    command = [*program.command(_MIDDLE), *arguments]
                    _launch(command, said, cwd, env, file.fileno()).wait()
        except OSError as error:
            raise _failed(argv, no_room.reason(error, log) or str(error)) from error
        finally:
            os.close(said)
        line = _first_line(pipe.fileno(), ready_seconds)
    if line is None:
        told = tail(log, min(2000, max(0, size_of(log) - begin)))
        reason = (
            told.rpartition("\n")[2]
            or f"it did not report within {durations.exact(ready_seconds)} s"
        )
        raise DetachFailed(
            f"{' '.join(argv[:4])} did not start. Its log, {log}, ends with:\n{tail(log)}",
            _missing() or reason,
        )
    return line


def _failed(argv: Sequence[str], reason: str) -> DetachFailed:
    reason = _missing() or reason
    return DetachFailed(f"{' '.join(argv[:4])} could not be started: {reason}", reason)


def _missing() -> str | None:
    file = program.missing()
    return None if file is None else f"ktjob's program files are missing: there is no {file}"


def _launch(
    command: Sequence[str], said: int, cwd: Path, env: Mapping[str, str], stderr: int | None = None
) -> subprocess.Popen[bytes]:
    """Start the middle process, which ends as soon as it has forked."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
        pass_fds=(said,),
        cwd=cwd,
        env=env,
    )


def _launch_outside(
    way_out: WayOut,
    arguments: Sequence[str],
    said: int,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
) -> bool:
    """The same outside of the login session. False, with a line in the log, when that fails."""
    env = {**env, **way_out.environment, _ARGV_VARIABLE: json.dumps(arguments)}
    why = ""
    with os.fdopen(open_log(log), "a", encoding="utf-8") as file:
        for prefix in way_out.prefixes:
            try:
                process = _launch(
                    [*prefix, *program.command(_MIDDLE)], said, cwd, env, file.fileno()
                )
            except OSError as error:  # it was just removed, or is not executable
                why = str(error)
                continue
            code = _wait_or_kill(process)
            if code == 0:
                return True
            why = f"{prefix[0]} " + (f"exited with {code}" if code else "did not answer")
            if code is None:
                break  # the user manager hangs
        file.write(
            f"{clock.now()} could not leave {way_out.scope} ({why}): "
            "the end of that session may kill the process that starts now\n"
        )
    return False


def _wait_or_kill(process: subprocess.Popen[bytes]) -> int | None:
    """Its exit code; None when it had to be killed."""
    try:
        return process.wait(LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def foreground_argv(argv: Sequence[str], *, log: Path) -> list[str]:
    """A command that executes `argv` with streams, umask and SIGHUP as `spawn` sets them, but stays
    a child of its parent."""
    return [*program.lasting_command(_MIDDLE), "--stay", "--log", str(log), "--", *argv]


def say_ready(line: str) -> None:
    """Report to the waiting `spawn` that this program is ready. Without one it does nothing."""
    fd = os.environ.pop(READY_FD_VARIABLE, None)
    if fd is None:
        return
    with contextlib.suppress(BrokenPipeError):  # the spawning process was killed
        os.write(int(fd), line.encode() + b"\n")
    os.close(int(fd))


def fork_child(child: Callable[[], None]) -> int:
    """Fork, run `child` in a new session and exit there without unwinding. Returns the pid.

    Raises `OSError` (EAGAIN, ENOMEM) when the system cannot create another process.
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
    finally:  # also when the log's disk is full: the child must never continue as its parent
        os._exit(code)


def redirect_streams(log: Path) -> None:
    """Append stdout and stderr to `log` (0600), and connect stdin to /dev/null. Raises `NotYours`
    when the log belongs to another user."""
    out = open_log(log)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
    os.close(nothing)


def open_log(log: Path) -> int:
    """Open a log for appending, created with mode 0600. Returns the file descriptor. Raises
    `NotYours` when it belongs to another user, and `OSError`."""
    with contextlib.suppress(OSError):  # a cleaner of empty folders may have removed it
        private_folder.make_one(log.parent)
    fd = ownership.open_own(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if os.geteuid() == 0:
        ownership.give_to_owner_of(log.parent, fd)
    return fd


def is_to_load_first() -> bool:
    """Whether the process that spawned this one wants to hear that it is ready only when it has
    loaded all it needs. Asked once: children must not ask the same."""
    return os.environ.pop(LOAD_FIRST_VARIABLE, None) is not None


def size_of(log: Path) -> int:
    """The size of a log in bytes; 0 when there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


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
    """Fork, retrying for up to `FORK_SECONDS` while the system has too many processes."""
    give_up = time.monotonic() + FORK_SECONDS
    while True:
        try:
            return os.fork()
        except OSError:
            if time.monotonic() >= give_up:
                raise
        time.sleep(0.2)


def main(argv: Sequence[str]) -> NoReturn:
    """The middle process: it leads its own session already, forks once more and executes `argv`.

    With --stay it executes `argv` without a fork: for a parent that watches it, such as systemd.
    """
    parser = argparse.ArgumentParser(prog="jobs.detach")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--stay", action="store_true")
    parser.add_argument("argv", nargs="+")
    carried = os.environ.pop(_ARGV_VARIABLE, None)
    asked = parser.parse_args(argv if carried is None else json.loads(carried))
    if not asked.stay and _fork_patiently():
        os._exit(0)
    signals.leave_the_terminal()
    os.umask(0o077)
    redirect_streams(asked.log)
    os.execvp(asked.argv[0], asked.argv)


if __name__ == "__main__":
    main(sys.argv[1:])
