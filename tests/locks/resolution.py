"""One lock's exact files: uv resolves the versions, the best wheel of each is taken."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import package_index
from packaging import tags, utils

NEWEST_GLIBC = 39
"""No wheel of a lock may ask for a newer glibc 2.x: Ubuntu 24.04 has 2.39."""


@dataclass(frozen=True)
class Chosen:
    """The wheel of one package."""

    name: str
    version: str
    file: package_index.File
    content: package_index.Content


def resolve(entry: dict[str, Any], python: str, uv: str) -> list[Chosen]:
    """The wheels of an entry of locks.toml for one Python, by name.

    Raises `SystemExit` with uv's words when it finds no solution."""
    index = package_index.address()
    pins = _versions(entry, python, uv, index)

    def chosen(pin: tuple[str, str]) -> Chosen:
        file = _best(*pin, python, index)
        return Chosen(*pin, file, package_index.content(file))

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(chosen, pins))


def _versions(entry: dict[str, Any], python: str, uv: str, index: str) -> list[tuple[str, str]]:
    """(package, version) as uv resolves them, sorted."""
    with tempfile.TemporaryDirectory() as folder:
        files = {
            kind: Path(folder) / kind for kind in ("requirements", "pins", "overrides", "excludes")
        }
        for kind, path in files.items():
            path.write_text("".join(f"{one['package']}\n" for one in entry.get(kind, ())))
        command = [
            *(uv, "pip", "compile", str(files["requirements"]), "--quiet", "--no-header"),
            *("--constraints", str(files["pins"]), "--overrides", str(files["overrides"])),
            *("--excludes", str(files["excludes"]), "--no-annotate", "--no-config"),
            *("--python-version", python, "--python-platform", "x86_64-manylinux_2_35"),
            *("--only-binary", ":all:", "--default-index", index),
            *("--exclude-newer", f"{entry['until']}T00:00:00Z"),
        ]
        ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode != 0:
        raise SystemExit(f"{entry['engine']} {entry['version']}, {python}: {ran.stderr}")
    found = re.findall(r"(?m)^([A-Za-z0-9._-]+)==(\S+)", ran.stdout)
    return sorted((utils.canonicalize_name(name), version) for name, version in found)


def _best(name: str, version: str, python: str, index: str) -> package_index.File:
    """The wheel that pip would take: the first by the order of tags."""
    rank = {tag: at for at, tag in enumerate(_tags(python))}
    fits = []
    for file in package_index.wheels(name, index):
        try:
            theirs, release, build, marks = utils.parse_wheel_filename(file.name)
        except utils.InvalidWheelFilename:
            continue
        best = min((rank[tag] for tag in marks if tag in rank), default=None)
        if (str(theirs), str(release)) == (name, version) and best is not None:
            fits.append((best, [-part for part in build[:1] if isinstance(part, int)], file))
    if not fits:
        raise SystemExit(f"{name} {version} has no wheel for Python {python} on Linux x86-64")
    return min(fits, key=lambda one: (one[0], one[1]))[2]


def _tags(python: str) -> Iterator[tags.Tag]:
    version = tuple(int(part) for part in python.split("."))
    short = f"cp{python.replace('.', '')}"
    platforms = [
        *(f"manylinux_2_{minor}_x86_64" for minor in range(NEWEST_GLIBC, 4, -1)),
        *("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"),
    ]
    yield from tags.cpython_tags(version, [short], platforms)
    yield from tags.compatible_tags(version, short, platforms)


def least_glibc(wheels: list[Chosen]) -> str:
    """The oldest glibc that all these wheels allow, by their tags."""
    return f"2.{max(_glibc(one.file.name) for one in wheels)}"


def _glibc(file: str) -> int:
    named = {"manylinux1": 5, "manylinux2010": 12, "manylinux2014": 17}
    found = [int(minor) for minor in re.findall(r"manylinux_2_(\d+)_x86_64", file)]
    found += [minor for name, minor in named.items() if f"{name}_x86_64" in file]
    return min(found, default=0)
