"""Calls whose time depends on what others wrote, such as a pattern that is matched against an
answer: in a forked child with a limit of CPU time. A C function that computes for hours would hold
Python's lock, so that no thread and no signal handler of the worker could end it.
"""

from __future__ import annotations

import os
import resource
import selectors
import signal
from collections.abc import Callable

from jobs.processes import detach, parent_death

CPU_SECONDS = 10
WALL_SECONDS = 300.0
"""For a machine so busy that the CPU time takes this long."""
TICK_SECONDS = 0.2
_READ_BYTES = 65_536


class TookTooLong(Exception):
    """The call used up its time, or its process died."""


def call(action: Callable[[], str], beat: Callable[[], None]) -> str:
    """The text that `action` returns. It must not use the store or any connection.

    `beat` is called several times a second; what it raises ends the call. Raises `TookTooLong`
    after `CPU_SECONDS` of CPU time, and `OSError` when no process can be created.
    """
    receive, send = os.pipe()
    parent = os.getpid()
    with os.fdopen(receive, "rb", buffering=0):
        try:
            pid = detach.fork_child(lambda: _answer(action, parent, receive, send))
        finally:
            os.close(send)
        try:
            said = _read_all(receive, beat)
        except BaseException:
            os.kill(pid, signal.SIGKILL)  # our own child, so the pid is still its own
            os.waitpid(pid, 0)
            raise
        _, status = os.waitpid(pid, 0)
    if status:
        raise TookTooLong(_why(os.waitstatus_to_exitcode(status)))
    return said.decode()


def _why(code: int) -> str:
    if code == -signal.SIGALRM:
        return f"no result within {WALL_SECONDS:,.0f} s"
    if code in (-signal.SIGXCPU, -signal.SIGKILL):  # the soft limit, or the hard one
        return f"no result within {CPU_SECONDS} s of CPU time"
    return f"its process ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}"


def _answer(action: Callable[[], str], parent: int, receive: int, send: int) -> None:
    parent_death.die_with(parent)
    os.close(receive)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # a lock that another thread held at the fork
    signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    said = action().encode()
    while said:
        said = said[os.write(send, said) :]


def _read_all(fd: int, beat: Callable[[], None]) -> bytes:
    said = b""
    with selectors.PollSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        while True:
            if not selector.select(TICK_SECONDS):
                beat()
                continue
            more = os.read(fd, _READ_BYTES)
            if not more:
                return said
            said += more
