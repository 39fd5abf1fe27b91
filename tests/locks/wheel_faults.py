"""What is wrong with a set of wheels, by their own METADATA and RECORD."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from packaging.markers import Environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from resolution import Chosen


def of(entry: dict[str, Any], python: str, chosen: list[Chosen]) -> list[str]:
    """Each fault that locks.toml does not explain, as a sentence."""
    return [*_unmet(entry, python, chosen), *_overwritten(entry, chosen)]


def _unmet(entry: dict[str, Any], python: str, chosen: list[Chosen]) -> Iterator[str]:
    """Requirements that nothing in the lock satisfies."""
    versions = {one.name: one.version for one in chosen}
    explained = {
        (asking, canonicalize_name(Requirement(one["package"]).name))
        for kind in ("overrides", "excludes")
        for one in entry.get(kind, ())
        for asking in one["against"]
    }
    extras = _extras(python, chosen)
    for one in chosen:
        if python not in SpecifierSet(one.content.requires_python):
            yield f"{one.name} {one.version} is for Python {one.content.requires_python}"
        for need in _requirements(python, one, extras[one.name]):
            name = canonicalize_name(need.name)
            have = versions.get(name)
            met = have is not None and need.specifier.contains(have, prereleases=True)
            if not met and (one.name, name) not in explained:
                yield f"{one.name} {one.version} needs {need}; the lock has {have or 'none'}"


def _extras(python: str, chosen: list[Chosen]) -> dict[str, set[str]]:
    """The extras of each package that any of the others asks for."""
    found: dict[str, set[str]] = defaultdict(set)
    grew = True
    while grew:
        before = sum(map(len, found.values()))
        for one in chosen:
            for need in _requirements(python, one, found[one.name]):
                found[canonicalize_name(need.name)] |= need.extras
        grew = sum(map(len, found.values())) > before
    return found


def _requirements(python: str, one: Chosen, extras: set[str]) -> Iterator[Requirement]:
    """What the wheel requires on Linux x86-64 with this Python and these extras."""
    for line in one.content.requires:
        need = Requirement(line)
        if need.marker is None or any(
            need.marker.evaluate({**_environment(python), "extra": extra})
            for extra in ("", *extras)
        ):
            yield need


def _environment(python: str) -> Environment:
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "platform_python_implementation": "CPython",
        "python_version": python,
        "sys_platform": "linux",
    }


def _overwritten(entry: dict[str, Any], chosen: list[Chosen]) -> Iterator[str]:
    """Paths that two wheels have with different bytes: which stays depends on their order."""
    owners: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for one in chosen:
        for path, digest in one.content.files.items():
            owners[path].append((one.name, digest))
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path, theirs in owners.items():
        names = tuple(sorted({name for name, _ in theirs}))
        digests = {digest for _, digest in theirs}
        differ = len(digests) > 1 or digests == {""}
        if len(names) > 1 and differ and not _explained(entry, path):
            groups[names].append(path)
    for names, paths in sorted(groups.items()):
        yield f"{' and '.join(names)} both have {len(paths)} files: {', '.join(sorted(paths)[:4])}"


def _explained(entry: dict[str, Any], path: str) -> bool:
    return any(fnmatch.fnmatchcase(path, one["path"]) for one in entry.get("shared", ()))
