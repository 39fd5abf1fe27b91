"""One installation from its first byte to the note "complete". It may be killed anywhere, and run
again: it continues with what is there.

1. fetch each wheel, by its hash;
2. remove what an earlier attempt installed, make the environment, install from the wheels alone;
3. compare every file with the packages' own lists, then change the note, then remove the wheels.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobs import draft, parsing, private_folder
from server_bundle.errors import InstallFailed
from server_bundle.install import contents, installer, interpreters, wheels
from server_bundle.install import lock as lock_file
from server_bundle.install.index import Index
from server_bundle.install.layout import Layout
from server_bundle.install.lock import Lock
from server_bundle.plan import installation
from server_bundle.plan.installation import Installation
from server_bundle.transfers.progress import Progress

_MOST_BYTES = 100_000
INSTALLING, CHECKING = "installing", "checking"
"""What comes after the fetch."""


@dataclass(frozen=True)
class Order:
    """What is to be installed: all that the installing process must know."""

    lock: str
    """The lock file's path."""
    base: str
    """The Python to make the environment with; a version if uv shall fetch it."""
    uv: str | None
    command: str
    """The command to run again, without the program's name."""

    def write(self, layout: Layout) -> None:
        """Write it into the folder. Raises `OSError`."""
        draft.write(layout.order, json.dumps(dataclasses.asdict(self)))


def read_order(layout: Layout) -> Order:
    """Raises `OSError`, `ValueError`, `TypeError`."""
    return Order(**parsing.of_json(parsing.read_text(layout.order, _MOST_BYTES, pipes=False)))


def make_folders(layout: Layout) -> None:
    """Make the folder of an installation. Raises `OSError`."""
    private_folder.make(layout.folder)
    private_folder.make(layout.work)


def begin(layout: Layout, lock: Lock, command: str) -> None:
    """Make the folder, with the note that it is not complete. Raises `OSError`."""
    make_folders(layout)
    installation.write(layout.folder, _note(lock, command, installation.INCOMPLETE))


def digest(lock: Lock) -> str:
    """One hash for all wheels of a lock."""
    hashes = sorted(one.sha256 for one in lock.wheels)
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _note(lock: Lock, command: str, state: str) -> Installation:
    return Installation(
        engine=lock.engine,
        version=lock.version,
        python=lock.python,
        variant=lock.variant,
        state=state,
        lock=str(lock.path),
        digest=digest(lock),
        command=command,
        wheels=len(lock.wheels),
        unpacked=lock.unpacked,
    )


def perform(
    layout: Layout,
    order: Order,
    index: Index,
    on_progress: Callable[[Progress], None],
    say: Callable[[str], None],
) -> None:
    """Do all of it. Raises `InstallFailed`, `InstallRefused` and `OSError`."""
    lock = lock_file.read(Path(order.lock))
    begin(layout, lock, order.command)
    phases = _Phases(len(lock.wheels), on_progress)
    private_folder.make(layout.wheels)
    wheels.fetch(lock, layout.wheels, index, phases.fetched, say)
    phases.at(INSTALLING, 0)
    base = _base(order, lock)
    layout.clear_environment()
    installer.make(layout, base, order.uv)
    installer.write_requirements(lock.wheels, layout.requirements)
    installer.install(
        layout, order.uv, len(lock.wheels), lambda count: phases.at(INSTALLING, count)
    )
    found = contents.problems(layout.folder, lock.wheels, lambda count: phases.at(CHECKING, count))
    if found:
        more = len(found) - contents.MOST_SHOWN
        shown = "; ".join(found[: contents.MOST_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        raise InstallFailed(f"{layout.folder} is not as its packages say: {shown}")
    installation.write(layout.folder, _note(lock, order.command, installation.COMPLETE))
    layout.clear_work()


def _base(order: Order, lock: Lock) -> interpreters.Interpreter:
    if interpreters.is_path(order.base):
        return interpreters.named(order.base)
    assert order.uv is not None, "only uv fetches a Python"
    return interpreters.fetch(lock.python, order.uv)


class _Phases:
    """Reports the steps after the fetch, which count packages."""

    def __init__(self, packages: int, on_progress: Callable[[Progress], None]) -> None:
        self._packages, self._on_progress = packages, on_progress
        self._seen, self._began = Progress(), time.monotonic()

    def fetched(self, progress: Progress) -> None:
        self._seen = progress
        self._on_progress(progress)

    def at(self, phase: str, count: int) -> None:
        self._on_progress(
            Progress(
                phase=phase,
                done=count,
                total=self._packages,
                files_done=count,
                files=self._packages,
                received=self._seen.received,
                seconds=time.monotonic() - self._began,
            )
        )
