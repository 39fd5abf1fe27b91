"""What `ktserver install` prints: what it will do, how far it is, what is there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ktclient.cli.install import transfer_line
from ktclient.cli.install.target import Target
from ktclient.cli.render import terminal_text, units
from server_bundle.install.catalog import Environment
from server_bundle.install.index import Index
from server_bundle.install.lock import Lock, Wheel
from server_bundle.install.needs import Amounts
from server_bundle.plan.installation import Installation
from server_bundle.transfers import progress as progresses
from server_bundle.transfers.size import in_size

_LARGEST = 5


def plan(target: Target, index: Index, needed: Amounts) -> str:
    """What will be done, in a few lines."""
    lock = target.lock
    cuda = f"CUDA {lock.cuda}" if lock.cuda else "CPU only"
    there = f"; {in_size(needed.there)} of it have arrived before" if needed.there else ""
    base = target.base
    python = f"{base.path} ({base.version})" if base else f"{lock.python}, which uv will fetch"
    rows = [
        ("install", f"{lock.engine} {lock.version} ({cuda}), lock file of {lock.date}"),
        ("into", str(target.layout.folder)),
        ("packages", f"{len(lock.wheels)}, {in_size(needed.total)} to fetch{there}"),
        ("largest", ", ".join(f"{one.name} {in_size(one.size)}" for one in largest(lock))),
        ("from", index.shown),
        ("python", python),
        ("by", target.uv or "pip"),
        ("disk", f"{in_size(needed.disk)} needed until it is done, {_after(lock)}"),
    ]
    return "\n".join(f"{name:<9} {terminal_text.one_line(value)}" for name, value in rows)


def _after(lock: Lock) -> str:
    words = f"{in_size(lock.used)} after"
    if lock.first_import is not None:
        later = in_size(lock.first_import.written)
        words += f" ({later} of it at the first import: {lock.first_import.reason})"
    return words


def largest(lock: Lock) -> list[Wheel]:
    """The largest wheels of a lock."""
    return sorted(lock.wheels, key=lambda one: -one.size)[:_LARGEST]


def table(found: Sequence[Environment], locks: Sequence[Lock]) -> str:
    """What is installed, and what can be."""
    lines = []
    if found:
        rows = [("INSTALLED", "PYTHON", "STATE", "SIZE", "FOLDER")]
        for one in found:
            made = one.made
            name = f"{made.engine}=={made.version}"
            size = in_size(made.unpacked)
            rows.append((name, made.python, one.state, size, str(one.layout.folder)))
        lines += [terminal_text.table(rows), ""]
    rows = [("AVAILABLE", "PYTHON", "CUDA", "FETCHES", "SIZE")]
    for lock in locks:
        name = f"{lock.engine}=={lock.version}"
        fetched = in_size(sum(one.size for one in lock.wheels))
        rows.append((name, lock.python, lock.cuda or "-", fetched, in_size(lock.used)))
    return "\n".join([*lines, terminal_text.table(rows)])


def status(one: Environment) -> str:
    """One installation in a few lines."""
    seen = one.progress
    lines = [f"{one.made.title}: {one.state}", f"  {one.layout.folder}"]
    if seen is not None and one.is_running:
        lines.append(
            f"  {transfer_line.in_words(seen, 'package')}  (for {units.duration(seen.seconds)})"
        )
        if seen.note:
            lines.append(f"  {seen.note}")
    elif seen is not None and seen.message:
        lines.append(f"  {terminal_text.one_line(seen.message)}")
    if one.state == "incomplete":
        lines.append(f"  to continue: ktserver {one.made.command}")
    return "\n".join(lines)


def _message(one: Environment) -> str | None:
    """Why it ended and what to do, or where it is configured; None while it runs."""
    seen = one.progress
    if seen is None or not seen.message:
        return None
    if seen.phase != progresses.CUT:
        return seen.message
    return f"{seen.message}; what has arrived is kept. To continue: ktserver {one.made.command}"


def as_json(one: Environment) -> dict[str, Any]:
    """One environment as --json prints it."""
    seen = one.progress
    return {
        **_json(one.made, str(one.layout.folder), str(one.layout.python)),
        "state": one.state,
        "done_bytes": seen.done if seen and seen.phase == progresses.FETCHING else None,
        "total_bytes": seen.total if seen and seen.phase == progresses.FETCHING else None,
        "message": _message(one),
        "log": str(one.layout.log),
    }


def _json(made: Installation, folder: str, python: str) -> dict[str, Any]:
    return {
        "engine": made.engine,
        "version": made.version,
        "variant": made.variant,
        "python_version": made.python,
        "folder": folder,
        "python": python,
        "packages": made.wheels,
        "unpacked_bytes": made.unpacked,
    }


def since(moment: float) -> str:
    """The time since a moment of `time.monotonic`."""
    return units.duration(time.monotonic() - moment)
