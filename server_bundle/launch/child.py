"""The server as a child of its supervisor."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs import child_environment
from server_bundle.plan.launch_plan import LaunchPlan

_OURS = "KTJOB_"
"""Prefix of this project's own variables, the key among them. The server does not get them."""
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, linux/prctl.h
_GATE = 'read -r go || exit 125; exec "$@" </dev/null'
"""Blocks until it reads a line, then executes the server. If the supervisor dies after the fork and
before it recorded the child, the child exits, so that no unrecorded server stays behind."""


def environment_for(plan: LaunchPlan) -> dict[str, str]:
    """All variables of the server: those of this process without keys and without ktjob's own, and
    over them the plan's. The server's virtual environment comes first in PATH: kernels that are
    compiled at the first forward look for `ninja` there (torch.utils.cpp_extension: "Ninja is
    required")."""
    inherited = child_environment.inherited().items()
    environment = {name: value for name, value in inherited if not name.startswith(_OURS)}
    path = [os.path.dirname(plan.python), environment.get("PATH", os.defpath)]
    environment["PATH"] = os.pathsep.join(filter(None, path))
    return {**environment, **plan.environment}


class Child:
    """One run of the server, in a session of its own, with the supervisor's stdout and stderr."""

    def __init__(self, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _GATE, "ktserver", *command],
            stdin=subprocess.PIPE,
            start_new_session=True,
            cwd=cwd,
            env=environment,
        )
        self.pid = self._process.pid

    def go(self) -> None:
        """Unblock the child: it executes the server."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it was killed already; `reap` will report it
            self._process.stdin.write(b"go\n")
            self._process.stdin.flush()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def ended(self, status: int) -> None:
        """Record the wait status that `reap` returned."""
        self._process.returncode = os.waitstatus_to_exitcode(status)


def adopt_orphans() -> None:
    """Become the parent of descendants that lose theirs (child subreaper, prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)


def reap() -> dict[int, int]:
    """Wait for all children that have ended: pid -> wait status."""
    found: dict[int, int] = {}
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return found
            found[pid] = status
    return found
