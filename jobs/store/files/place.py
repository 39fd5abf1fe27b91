"""Where a store lives, and whether a database file is still that store or a copy of it.

A copy has the same queue and the same running jobs: what was started from it would send each
request a second time. So a store records its place, and a copy is only read until `ktjob adopt`.
Pure, but for `here`.
"""

from __future__ import annotations

import enum
import os
from dataclasses import asdict
from pathlib import Path

from jobs.quick_dataclass import record


@record(frozen=True)
class Place:
    """Where a store was when it was last used."""

    store: str
    """A random id, the same in every copy that was not adopted."""
    path: str
    """Of the database file, without symbolic links."""
    device: int
    inode: int
    machine: str
    """The machine's id; empty where it has none."""

    def record(self) -> dict[str, object]:
        """As a JSON object."""
        return asdict(self)


class Verdict(enum.Enum):
    """What a database file is, compared with the recorded place."""

    SAME = enum.auto()
    """The store where it was."""
    MOVED = enum.auto()
    """The same file under another path: there is no second one."""
    RESTORED = enum.auto()
    """Another file at the recorded path, as after a backup was put back or the disk replaced."""
    COPY = enum.auto()
    """Another file in another place or on another machine: the original may still exist."""


def here(database: Path, machine: str, store: str = "") -> Place:
    """The place of an existing database file. Raises `OSError`."""
    found = database.stat()
    return Place(store, os.path.realpath(database), found.st_dev, found.st_ino, machine)


def read(value: object) -> Place | None:
    """A place from its JSON object; None where that holds no place that this version knows."""
    if not isinstance(value, dict):
        return None
    try:
        return Place(**{name: value[name] for name in Place.__annotations__})
    except KeyError:
        return None


def compare(recorded: Place, found: Place) -> Verdict:
    """What the file at `found` is.

    At the recorded path, the device is not compared: its number may change at a boot. At another
    path it is, because a snapshot of a filesystem has the same inode numbers. Machines are compared
    only for another file at the recorded path: a container may have a new id at every start.
    """
    is_same_file = recorded.inode == found.inode
    if recorded.path == found.path:
        if is_same_file:
            return Verdict.SAME
        is_same_machine = recorded.machine == found.machine or not (
            recorded.machine and found.machine
        )
        return Verdict.RESTORED if is_same_machine else Verdict.COPY
    if is_same_file and recorded.device == found.device:
        return Verdict.MOVED
    return Verdict.COPY
