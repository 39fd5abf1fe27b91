"""Why a child process died: its parent sees the signal, the kernel counts kills for memory.

The sender of a SIGKILL is unknown. A rise of the kernel's count of processes killed for memory
during the child's life is the best available evidence.
"""

from __future__ import annotations

import os
import signal

from jobs.system import cgroup

_KEPT = 1000
"""How many verdicts are kept: recovery asks for each soon after the death."""


class Postmortem:
    """One parent's children: the kernel's kill count at their start, and why they died."""

    def __init__(self) -> None:
        self._kills_at_birth: dict[int, int | None] = {}
        self._verdicts: dict[int, str] = {}

    def born(self, pid: int) -> None:
        """Record that a child was forked."""
        self._kills_at_birth[pid] = _kills()

    def died(self, pid: int, status: int) -> None:
        """Record the wait status of a child that ended."""
        before, now = self._kills_at_birth.pop(pid, None), _kills()
        code = os.waitstatus_to_exitcode(status)
        verdict = f"was killed by {_name(-code)}" if code < 0 else f"ended with exit code {code}"
        if code == -signal.SIGKILL and before is not None and now is not None and now > before:
            verdict += (
                ", probably by the kernel's out-of-memory killer: it killed "
                f"{now - before} processes of the same cgroup meanwhile; run `ktjob doctor`"
            )
        self._verdicts[pid] = verdict
        while len(self._verdicts) > _KEPT:
            self._verdicts.pop(next(iter(self._verdicts)))

    def verdict(self, pid: int) -> str | None:
        """Why a child died, as the end of a sentence; None for a process that is not a child."""
        return self._verdicts.get(pid)


def _kills() -> int | None:
    """The kill count of this process's cgroup, which its children share."""
    counted = cgroup.oom_kills()
    return counted[0] if counted else None


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
