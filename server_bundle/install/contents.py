"""Whether an environment has what its lock names, file by file, by the RECORD of each package.

The hash of each wheel was checked before, so the sizes are enough to find what was not written, or
was overwritten by another package.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from server_bundle.install.index_page import normalised
from server_bundle.install.lock import Wheel

MOST_SHOWN = 5


def problems(
    folder: Path, wheels: Sequence[Wheel], on_look: Callable[[int], None] = lambda _: None
) -> list[str]:
    """What is missing or different; empty if all is as it must be. `on_look` gets the number of
    packages that were looked at."""
    site = next(iter(sorted(folder.glob("lib/python3*/site-packages"))), None)
    if site is None:
        return [f"there is no site-packages in {folder}"]
    installed = _installed(site)
    found: list[str] = []
    rows = {one.name: _rows(installed[one.name][1]) for one in wheels if one.name in installed}
    claimed = _claimed(rows)
    for number, wheel in enumerate(wheels, 1):
        version, _ = installed.get(wheel.name, (None, None))
        if version is None:
            found.append(f"{wheel.name} is not installed")
        elif version not in (wheel.version, wheel.file.split("-")[1]):
            found.append(f"{wheel.name} is {version}, not {wheel.version}")
        else:
            found += _wrong(site, wheel.name, rows[wheel.name], claimed)
        on_look(number)
    return found


def _installed(site: Path) -> dict[str, tuple[str, Path]]:
    """Normalised name -> version and RECORD, by the names of the folders."""
    found = {}
    for info in site.glob("*.dist-info"):
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        found[normalised(name)] = (version, info / "RECORD")
    return found


def _rows(record: Path) -> list[tuple[str, int | None]]:
    """Each file of a package and its size; empty where there is no RECORD."""
    try:
        with record.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return [
                (row[0], int(row[2]) if row[2] else None)
                for row in csv.reader(file)
                if len(row) == 3
            ]
    except (OSError, ValueError, csv.Error):
        return []


def _claimed(rows: dict[str, list[tuple[str, int | None]]]) -> dict[str, set[int]]:
    """The sizes that a path may have: several packages may bring the same file."""
    sizes: dict[str, set[int]] = {}
    for listed in rows.values():
        for path, size in listed:
            if size is not None:
                sizes.setdefault(path, set()).add(size)
    return sizes


def _wrong(
    site: Path, name: str, rows: list[tuple[str, int | None]], claimed: dict[str, set[int]]
) -> Iterator[str]:
    if not rows:
        yield f"{name} has no RECORD"
    for path, size in rows:
        try:
            there = os.stat(site / path).st_size
        except OSError:
            yield f"{name} lacks {path}"
            continue
        if size is not None and there not in claimed[path]:
            yield f"{path} of {name} has {there:,} bytes, not {size:,}"
