"""The folder of one installation: the environment, and what is there while it is made."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from server_bundle.errors import InstallRefused
from server_bundle.plan import installation
from server_bundle.transfers.progress import Record

_WORK = ".ktjob-install"


@dataclass(frozen=True)
class Layout:
    """The paths below the folder of an environment."""

    folder: Path

    @property
    def python(self) -> Path:
        """The server's interpreter."""
        return self.folder / "bin" / "python"

    @property
    def work(self) -> Path:
        """What the installation needs, and nobody after it."""
        return self.folder / _WORK

    @property
    def wheels(self) -> Path:
        return self.work / "wheels"

    @property
    def cache(self) -> Path:
        """uv's cache, on the same disk, so that its files become hard links."""
        return self.work / "uv-cache"

    @property
    def requirements(self) -> Path:
        return self.work / "requirements.txt"

    @property
    def order(self) -> Path:
        """What is to be installed, for the process that does it."""
        return self.work / "order.json"

    @property
    def record(self) -> Record:
        """How far the installation is."""
        return Record(self.work / "progress.json", self.lock)

    @property
    def lock(self) -> Path:
        """Held by the process that installs."""
        return self.work / "lock"

    @property
    def log(self) -> Path:
        return self.work / "install.log"

    def clear_environment(self) -> None:
        """Remove all but the note and what was fetched. Raises `OSError`."""
        for entry in self.folder.iterdir():
            if entry.name in (_WORK, installation.MARKER):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def clear_work(self) -> None:
        """Remove what was fetched; the log and the progress stay."""
        for path in (self.wheels, self.cache):
            shutil.rmtree(path, ignore_errors=True)

    def is_empty(self) -> bool:
        """Whether nothing is in the folder, or there is none."""
        try:
            return not any(self.folder.iterdir())
        except FileNotFoundError:
            return True


def refuse_others(folder: Path) -> None:
    """Raises `InstallRefused` for a folder that is not to be filled, or emptied, by an
    installation."""
    try:
        real = folder.resolve()
        own = [Path(one).resolve() for one in {sys.prefix, sys.base_prefix}]
        inside = next((one for one in own if real.is_relative_to(one)), None)
        if inside is not None and inside != Path("/usr"):
            raise InstallRefused(
                f"{folder} is the Python of ktjob itself ({sys.executable}). The server needs its "
                "own: its packages pin other versions of what ktjob uses (openai, for one). "
                "Leave out --venv, or name a new folder"
            )
        if any(one.is_relative_to(real) for one in own) or real == Path.home():
            raise InstallRefused(
                f"{folder} contains other things than a server's Python: name a new folder"
            )
        if folder.exists() and not folder.is_dir():
            raise InstallRefused(f"{folder} is a file. Name a new folder with --venv")
        is_ours = installation.of_folder(folder) is not None
        if not is_ours and not Layout(folder).is_empty() and not _is_just_begun(folder):
            raise InstallRefused(
                f"{folder} exists and was not made by `ktserver install`, so it is left as it is. "
                "Name a new folder with --venv, or remove it first"
            )
    except OSError as error:
        raise InstallRefused(f"{folder} cannot be used: {error.strerror or error}") from error
    _refuse_unwritable(folder)


def _is_just_begun(folder: Path) -> bool:
    """Whether an installation was killed between its first folder and its note."""
    return [one.name for one in folder.iterdir()] == [_WORK]


def _refuse_unwritable(folder: Path) -> None:
    place = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    with contextlib.suppress(OSError):
        if os.access(place, os.W_OK | os.X_OK):
            return
    raise InstallRefused(
        f"{folder} cannot be made: {place} is not writable for you. Name another folder with --venv"
    )
