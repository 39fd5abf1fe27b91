"""Processes that still use a folder which has no path any more, because its disk was unmounted."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_LOOK_SECONDS = 0.1


def wait_for_user(folder: Path, program: str, seconds: float) -> int | None:
    """The pid of a process with a module `program` (in whichever package it is installed) and the
    path of `folder` among its arguments, whose current folder cannot be reached by any path. Waits
    up to `seconds` for its end. Costs a look at all processes, so it is for rare moments."""
    give_up = time.monotonic() + seconds
    while (pid := _user(folder, program)) is not None:
        if time.monotonic() >= give_up:
            return pid
        time.sleep(_LOOK_SECONDS)
    return None


def _user(folder: Path, program: str) -> int | None:
    module, place = os.fsencode(program), os.fsencode(folder)
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        with contextlib.suppress(OSError):  # it has ended, or belongs to another user
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            is_runner = place in words and any(word.endswith(module) for word in words)
            is_user = is_runner and _sees_what_we_see(name)
            if is_user and _is_hidden(f"/proc/{name}/cwd"):
                return int(name)
    return None


def _sees_what_we_see(pid: str) -> bool:
    """Whether a process has our mounts: in a container, the same path is another folder."""
    return os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")


def _is_hidden(link: str) -> bool:
    """Whether the folder behind a link in /proc exists without a path. One that was only renamed
    has a path; one that was deleted hides nothing."""
    there = os.stat(link)
    if there.st_nlink == 0:
        return False
    try:
        return not os.path.samestat(os.stat(os.readlink(link)), there)
    except OSError:
        return True
