"""How far an installation is: written by the process that installs, read by all others."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from jobs import draft, parsing
from jobs.processes import identity
from server_bundle.install.layout import Layout

FETCH, INSTALL, CHECK = "fetching", "installing", "checking"
COMPLETE, FAILED, STOPPED, BROKEN = "complete", "failed", "stopped", "ended unexpectedly"
RUNNING = (FETCH, INSTALL, CHECK)
_MOST_BYTES = 100_000


@dataclass(frozen=True)
class Progress:
    """One state of an installation. Bytes are compressed ones, as they are fetched."""

    phase: str
    done: int = 0
    """Bytes while it fetches, else packages."""
    total: int = 0
    packages: int = 0
    """Packages that have arrived, or are installed, or checked."""
    all_packages: int = 0
    fetched: int = 0
    """Bytes that arrived in this run."""
    seconds: float = 0.0
    """Since this run began."""
    rate: float = 0.0
    """Bytes a second of late; 0 where none arrive."""
    current: tuple[str, ...] = ()
    remark: str = ""
    message: str = ""
    """Why it failed."""

    @property
    def seconds_left(self) -> float | None:
        """Until all is fetched; None when unknown."""
        if self.phase != FETCH or self.rate <= 0:
            return None
        return max(0, self.total - self.done) / self.rate


def write(layout: Layout, progress: Progress) -> None:
    """Write the state for other processes. Raises `OSError`."""
    text = json.dumps(dataclasses.asdict(progress))
    draft.write(layout.progress, text, is_synced=False, prefix=draft.prefix_of(layout.progress))


def read(layout: Layout) -> Progress | None:
    """The last state; None where no installation has begun. A process that was killed wrote no end:
    then the phase is `BROKEN`."""
    try:
        is_running = identity.is_held(layout.lock)
        text = parsing.read_text(layout.progress, _MOST_BYTES, pipes=False)
        found = _checked(parsing.of_json(text))
    except (OSError, ValueError, TypeError):
        return None
    if found.phase in RUNNING and not is_running:
        words = "the process that installs was killed, or the machine was restarted"
        return dataclasses.replace(found, phase=BROKEN, message=words)
    return found


def _checked(data: Any) -> Progress:
    if not isinstance(data, dict):
        raise ValueError("it is no object")
    names = {field.name for field in dataclasses.fields(Progress)}
    known = {name: value for name, value in data.items() if name in names}
    return Progress(**{**known, "current": tuple(known.get("current", ()))})
