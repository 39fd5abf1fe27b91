"""The record that `ktserver fetch` keeps in a folder of weights: what belongs there, by the hub's
own list, and which files were checked. It is written by `server_bundle.weights` and only read here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs import parsing

FOLDER = ".ktserver-fetch"
"""In the folder of the weights; engines ignore hidden folders."""
NAME = "fetch.json"
_LARGEST = 32 << 20
"""In bytes, of the record; one file of a model takes some 300 bytes."""


@dataclass(frozen=True)
class Checked:
    """A file whose content was checked. It is not read again while these three stay the same."""

    size: int
    mtime_ns: int
    inode: int


def stamp(path: Path) -> Checked | None:
    """The stamp of a regular file; None where there is none, or a link."""
    try:
        seen = path.lstat()
    except OSError:
        return None
    if not os.path.isfile(path) or path.is_symlink():
        return None
    return Checked(seen.st_size, seen.st_mtime_ns, seen.st_ino)


@dataclass
class Listed:
    """One file by the hub's list. `size` in bytes; one of the two checksums is set."""

    size: int
    sha256: str = ""
    git_sha1: str = ""
    is_wanted: bool = True
    checked: Checked | None = None


@dataclass
class Record:
    """A folder's record. `commit` is empty where the hub names none (ModelScope)."""

    hub: str
    repo: str
    revision: str
    commit: str
    listed_at: str
    """UTC."""
    checked_at: str = ""
    """UTC; when all wanted files had been checked."""
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    files: dict[str, Listed] = field(default_factory=dict)

    @property
    def wanted(self) -> dict[str, Listed]:
        return {path: one for path, one in self.files.items() if one.is_wanted}

    @property
    def unchecked(self) -> list[str]:
        """The wanted files that are not here yet, or were not checked."""
        return sorted(path for path, one in self.wanted.items() if one.checked is None)

    @property
    def name(self) -> str:
        """What was fetched, for people."""
        at = self.commit[:12] or self.revision
        return f"{self.repo} at {at}" if at else self.repo


def path_of(folder: Path) -> Path:
    return folder / FOLDER / NAME


def read(folder: Path) -> Record | None:
    """The record of a folder; None where there is none, or a damaged one."""
    try:
        data = parsing.of_json(parsing.read_text(path_of(folder), _LARGEST))
        return _record(data)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _record(data: dict[str, Any]) -> Record:
    files = {
        str(path): Listed(
            size=int(one["size"]),
            sha256=str(one["sha256"]),
            git_sha1=str(one["git_sha1"]),
            is_wanted=bool(one["is_wanted"]),
            checked=None if one["checked"] is None else Checked(*map(int, one["checked"])),
        )
        for path, one in data["files"].items()
    }
    texts = {name: str(data[name]) for name in ("hub", "repo", "revision", "commit", "listed_at")}
    return Record(
        **texts,
        checked_at=str(data["checked_at"]),
        include=[str(one) for one in data["include"]],
        exclude=[str(one) for one in data["exclude"]],
        files=files,
    )
