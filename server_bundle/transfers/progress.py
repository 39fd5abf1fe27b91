"""How far a run is: written by the process that works, read by all others.

The proof that the process lives is its lock. A state "fetching" whose lock is free means that it
was killed, or that the machine was restarted: the boot in the state tells these apart.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs import clock, draft, parsing
from jobs.processes import identity

FETCHING = "fetching"
COMPLETE, FAILED, STOPPED, CUT = "complete", "failed", "stopped", "cut off"
ENDED = (COMPLETE, FAILED, STOPPED, CUT)
KILLED = "its process was killed"
RESTARTED = "the machine was restarted"
_MOST_BYTES = 100_000
_WRITE_SECONDS = 0.5


@dataclass(frozen=True)
class Progress:
    """One state of a run. Amounts in bytes; `rate` in bytes a second, `left` and `seconds` in
    seconds, times UTC."""

    phase: str = FETCHING
    done: int = 0
    """Of `total`. In phases after the fetch: files of `files`, in packages."""
    total: int = 0
    files_done: int = 0
    files: int = 0
    received: int = 0
    """What arrived over the network in this run."""
    checked: int = 0
    """What was read to compare checksums."""
    rate: float = 0.0
    """Of late; 0 where nothing arrives."""
    left: float | None = None
    """Until all is fetched; None while unknown."""
    seconds: float = 0.0
    """Since this run began."""
    current: tuple[str, ...] = ()
    """What arrives now."""
    note: str = ""
    """The last trouble that is tried again; empty without one."""
    message: str = ""
    """Why it ended, if that is not plain."""
    changed: str = ""
    boot: str = ""
    """The boot of the machine in which it was written."""

    @property
    def is_running(self) -> bool:
        return self.phase not in ENDED


class Record:
    """The file with the state of a run, and the lock that its process holds."""

    def __init__(self, path: Path, lock: Path) -> None:
        self.path, self.lock = path, lock
        self._next = 0.0
        self.last = Progress()
        """What this process showed last."""

    def show(self, progress: Progress) -> None:
        """Write a state, twice a second at most. A full disk ends no run."""
        is_due = progress.phase != self.last.phase or time.monotonic() >= self._next
        self.last = progress
        if is_due:
            self._next = time.monotonic() + _WRITE_SECONDS
            with contextlib.suppress(OSError):
                self.write(progress)

    def end(self, phase: str, message: str = "") -> None:
        """Write how it ended. Raises `OSError`."""
        self.write(dataclasses.replace(self.last, phase=phase, message=message))

    def write(self, progress: Progress) -> None:
        """Raises `OSError`."""
        self.last = dataclasses.replace(progress, changed=clock.now(), boot=identity.boot_id())
        text = json.dumps(dataclasses.asdict(self.last))
        draft.write(self.path, text, is_synced=False, prefix=draft.prefix_of(self.path))

    def read(self) -> Progress | None:
        """The last state; None where no run has begun. What was killed wrote no end: then the
        phase is `CUT`, and the message says why."""
        try:
            found = self._written()
            if found.is_running and not identity.is_held(self.lock):
                found = self._written()  # an end is written before the lock is released
                if found.is_running:
                    why = KILLED if found.boot == identity.boot_id() else RESTARTED
                    found = dataclasses.replace(found, phase=CUT, rate=0.0, left=None, message=why)
        except (OSError, ValueError, TypeError):
            return None
        return found

    def _written(self) -> Progress:
        text = parsing.read_text(self.path, _MOST_BYTES, pipes=False)
        return _progress(parsing.of_json(text))


def _progress(data: Any) -> Progress:
    if not isinstance(data, dict):
        raise ValueError("it is no object")
    names = {field.name for field in dataclasses.fields(Progress)}
    known = {name: value for name, value in data.items() if name in names}
    return Progress(**{**known, "current": tuple(known.get("current", ()))})
