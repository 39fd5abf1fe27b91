"""The note that `ktserver install` leaves in an environment that it makes.

It says "incomplete" from the first moment until every file has been checked, so that nobody takes a
half-made environment for a whole one. Only `server_bundle.install` writes it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs import draft, parsing

MARKER = "ktjob-install.json"
INCOMPLETE, COMPLETE = "incomplete", "complete"
_MOST_BYTES = 100_000


@dataclass(frozen=True)
class Installation:
    """An environment that `ktserver install` made, or has begun to make."""

    engine: str
    version: str
    python: str
    """Its Python's version, as "3.12"."""
    variant: str
    state: str
    """`INCOMPLETE` or `COMPLETE`."""
    lock: str
    """The lock file from which it is made."""
    digest: str
    """Of the lock's wheels: another one means other wheels."""
    command: str
    """The command that makes it, without the program's name: to be run again."""
    wheels: int = 0
    unpacked: int = 0
    """Bytes of its packages."""

    @property
    def title(self) -> str:
        return f"{self.engine} {self.version} on Python {self.python}"


def of_folder(folder: Path) -> Installation | None:
    """The note of an environment; None where there is none, or it cannot be read as one."""
    try:
        data = parsing.of_json(parsing.read_text(folder / MARKER, _MOST_BYTES, pipes=False))
        return Installation(**_checked(data))
    except (OSError, ValueError, TypeError):
        return None


def _checked(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError("it is no object")
    kinds = {field.name: field.type for field in dataclasses.fields(Installation)}
    known = {name: value for name, value in data.items() if name in kinds}
    for name, value in known.items():
        if type(value).__name__ != kinds[name]:
            raise ValueError(f"{name} is no {kinds[name]}")
    return known


def folder_of(python: str) -> Path:
    """The environment to which an interpreter's path belongs. Links are not followed: bin/python
    of an environment is a link to the interpreter that it was made with."""
    return Path(python).absolute().parent.parent


def write(folder: Path, made: Installation) -> None:
    """Write the note, synced to disk. Raises `OSError`."""
    draft.write(folder / MARKER, json.dumps(dataclasses.asdict(made), indent=1))


def refusal(python: str) -> str | None:
    """Why this interpreter cannot run a server yet, if its installation has not ended; else
    None."""
    folder = folder_of(python)
    made = of_folder(folder)
    if made is None or made.state == COMPLETE:
        return None
    return (
        f"the installation of {made.title} in {folder} is not complete. Run it again, it continues "
        f"with what is there: ktserver {made.command}"
    )
