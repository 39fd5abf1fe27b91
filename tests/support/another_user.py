"""Code that runs as a user other than root, in a forked child of the test's process.

It keeps one right of root, to read everything (CAP_DAC_READ_SEARCH): Python may be in root's own
folder. It may write only what belongs to it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from jobs.store.state_dir import StateDir

NOBODY = 65534
Result = TypeVar("Result")


@contextlib.contextmanager
def state_dir() -> Iterator[StateDir]:
    """A state directory of that user, where both can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="ktjob-user-"))
    os.chown(folder, NOBODY, NOBODY)
    try:
        yield StateDir(folder / "state")
    finally:
        shutil.rmtree(folder)


def call(action: Callable[[], Result]) -> Result:
    """The result of `action`, or the exception that it raised."""
    receive, send = os.pipe()
    pid = start(lambda: _answer(action, send))
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    kind, value = pickle.loads(answer)
    if kind == "error":
        raise value
    return value  # type: ignore[no-any-return]


def _answer(action: Callable[[], Any], send: int) -> None:
    try:
        answer = pickle.dumps(("result", action()))
    except BaseException as error:
        answer = pickle.dumps(("error", error))
    os.write(send, answer)


def start(action: Callable[[], object]) -> int:
    """Begin `action` in a child, and return its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        _become_nobody()
        os.environ["HOME"] = "/nonexistent"
        action()
    finally:
        os._exit(0)


_PR_SET_KEEPCAPS = 8
_CAPABILITY_VERSION_3 = 0x20080522
_DAC_READ_SEARCH = 1 << 2


def _become_nobody() -> None:
    """Change user, and keep one capability (prctl(2), capset(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    effective = permitted = _DAC_READ_SEARCH
    if libc.capset(header, struct.pack("=6I", effective, permitted, 0, 0, 0, 0)):
        raise OSError(ctypes.get_errno(), "capset")
