"""What a dead child died of: its parent knows the signal, the kernel who ran out of memory.

SIGKILL has no sender that a victim could name. That the kernel's count of processes killed for
memory rose while this one lived is the best evidence there is.
"""

from __future__ import annotations

import os
import signal

from jobs.system import cgroup

_KEPT = 1000
"""Deaths remembered: recovery asks for one at the next look after it."""


class Postmortem:
    """One parent's children: how memory stood when they were born, and what they died of."""

    def __init__(self) -> None:
        self._kills_at_birth: dict[int, int | None] = {}
        self._verdicts: dict[int, str] = {}

    def born(self, pid: int) -> None:
        """A child was forked."""
        self._kills_at_birth[pid] = _kills()

    def died(self, pid: int, status: int) -> None:
        """A child was waited for, with this wait status."""
        before, now = self._kills_at_birth.pop(pid, None), _kills()
        code = os.waitstatus_to_exitcode(status)
        verdict = f"was killed by {_name(-code)}" if code < 0 else f"ended with exit code {code}"
        if code == -signal.SIGKILL and before is not None and now is not None and now > before:
            verdict += (
                ", probably by the kernel's out-of-memory killer, which killed "
                f"{now - before} processes around it meanwhile; `ktjob doctor` has more"
            )
        self._verdicts[pid] = verdict
        while len(self._verdicts) > _KEPT:
            self._verdicts.pop(next(iter(self._verdicts)))

    def verdict(self, pid: int) -> str | None:
        """What a dead child died of, as the end of a sentence; None for one that was another's."""
        return self._verdicts.get(pid)


def _kills() -> int | None:
    """A child has its parent's cgroup, so ours counts for both."""
    counted = cgroup.oom_kills()
    return counted[0] if counted else None


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
