"""The environments that `ktserver install` made on this machine: found, and removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jobs import draft, parsing, private_folder
from jobs.processes import identity
from server_bundle.errors import InstallFailed, InstallRefused
from server_bundle.install.layout import Layout
from server_bundle.plan import installation
from server_bundle.plan.installation import Installation
from server_bundle.transfers.progress import Progress

_PLACES = "elsewhere.txt"
"""The folders that were named with --venv, one a line."""
_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Environment:
    """One environment, whole or not."""

    layout: Layout
    made: Installation
    progress: Progress | None
    """Of its installation; None if that is not known any more."""
    is_running: bool
    """Whether it is being installed now."""

    @property
    def state(self) -> str:
        """In a word or a few."""
        if self.is_running:
            return self.progress.phase if self.progress else "starting"
        return self.made.state


def look(folder: Path) -> Environment | None:
    """The environment in a folder; None where there is none of ours."""
    made = installation.of_folder(folder)
    if made is None:
        return None
    layout = Layout(folder)
    return Environment(layout, made, layout.record.read(), identity.is_held(layout.lock))


def environments(base: Path) -> list[Environment]:
    """All below `base`, and those that were made elsewhere; the first begun last."""
    inside = sorted(base.iterdir()) if base.is_dir() else []
    seen = dict.fromkeys([*(one for one in inside if one.is_dir()), *_elsewhere(base)])
    found = [one for folder in seen if (one := look(folder)) is not None]
    return sorted(found, key=lambda one: -_changed(one.layout))


def remember(base: Path, folder: Path) -> None:
    """Note a folder that is not below `base`. Raises `OSError`."""
    known = _elsewhere(base)
    if folder.parent != base and folder not in known:
        private_folder.make(base)
        text = "".join(f"{one}\n" for one in (*known, folder))
        draft.write(base / _PLACES, text.encode("utf-8", "surrogateescape"))


def _elsewhere(base: Path) -> list[Path]:
    try:
        text = parsing.read_text(base / _PLACES, _MOST_BYTES, pipes=False, errors="surrogateescape")
    except (OSError, ValueError):
        return []
    return [Path(line) for line in text.splitlines() if line]


def _changed(layout: Layout) -> float:
    try:
        return (layout.folder / installation.MARKER).stat().st_mtime
    except OSError:
        return 0.0


def remove(environment: Environment, users: Iterable[str]) -> None:
    """Remove an environment and all that was fetched for it. Raises `InstallRefused` while it is
    installed or used (`users` are the names of running servers), and `InstallFailed`."""
    layout = environment.layout
    refuse_used(layout, users)
    try:
        lock = identity.hold(layout.lock) if layout.work.is_dir() else None
        if lock is None and layout.work.is_dir():
            raise InstallRefused(
                f"{layout.folder} is being installed now. Stop that first: ktserver install --stop"
            )
        try:  # the note last: whatever ends this, the rest is not taken for whole
            installation.write(layout.folder, _as_incomplete(environment.made))
            layout.clear_environment()
            shutil.rmtree(layout.folder)
        finally:
            if lock is not None:
                lock.release()
    except OSError as error:
        raise InstallFailed(f"cannot remove {layout.folder}: {error.strerror or error}") from error


def refuse_used(layout: Layout, users: Iterable[str]) -> None:
    """Raises `InstallRefused` if servers run from it."""
    if named := ", ".join(users):
        raise InstallRefused(
            f"{layout.folder} is used by a running server: {named}. Stop it first: ktserver down"
        )


def _as_incomplete(made: Installation) -> Installation:
    import dataclasses

    return dataclasses.replace(made, state=installation.INCOMPLETE)
