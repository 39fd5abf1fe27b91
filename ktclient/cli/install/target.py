"""Which engine goes where: from what was typed to a lock, a folder and a Python."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs import extras
from ktclient.cli.server.plan_options import DEFAULT_PROFILE
from ktclient.config.settings import Settings
from ktclient.errors import BadInput, InstallRefused
from server_bundle.install import interpreters
from server_bundle.install import lock as lock_file
from server_bundle.install.interpreters import Interpreter
from server_bundle.install.layout import Layout, refuse_others
from server_bundle.install.lock import Lock
from server_bundle.plan import profile as plan_profile
from server_bundle.plan.profile import LLAMA_CPP, Profile


@dataclass(frozen=True)
class Asked:
    """The options that choose what is installed, as typed; None if not given."""

    engine: str | None = None
    """`ENGINE` or `ENGINE==VERSION`."""
    profile: str | None = None
    venv: str | None = None
    python: str | None = None
    lock: str | None = None
    installer: str | None = None

    @property
    def command(self) -> str:
        """The same again as a command line, without the program's name, for any current folder."""
        options = {
            "--profile": self.profile,
            "--venv": _absolute(self.venv),
            "--python": self.python,
            "--lock": _absolute(self.lock),
            "--installer": self.installer,
        }
        words = ["install", *([self.engine] if self.engine else [])]
        for name, value in options.items():
            words += [name, value] if value else []
        return shlex.join(words)


def _absolute(path: str | None) -> str | None:
    return str(Path(path).expanduser().absolute()) if path else None


@dataclass(frozen=True)
class Target:
    """What is installed where, and with what."""

    lock: Lock
    layout: Layout
    base: Interpreter | None
    """None where uv fetches the Python."""
    uv: str | None
    profile: Profile | None

    @property
    def method(self) -> str | None:
        """The format of the experts on the CPU, if a profile says it."""
        flags = self.profile.flags if self.profile else ()
        found = next((one.guide for one in flags if one.name == "--kt-method"), None)
        return found if isinstance(found, str) else None


def resolve(asked: Asked, settings: Settings) -> Target:
    """Raises `BadInput`, `NoSuchLock`, `NoSuchProfile` and `InstallRefused`."""
    profile = _profile(asked)
    base = interpreters.named(_path(asked.python)) if _names_path(asked.python) else None
    version = base.minor if base else asked.python
    lock, found = _lock(asked, profile, version, settings.environ)
    base = base or found
    uv = _uv(asked)
    if base is None and uv is None:
        raise InstallRefused(
            f"there is no Python {lock.python} on this machine, and no uv, which could fetch one. "
            f"Install python{lock.python} (apt, pyenv, conda), or uv (pip install uv); or name a "
            "Python: --python /path/to/python"
        )
    if base is not None and uv is None and not base.makes_environments:
        raise InstallRefused(
            f"{base.path} lacks the module venv or ensurepip. Install python{base.minor}-venv "
            "(apt), or uv (pip install uv)"
        )
    folder = Path(asked.venv).expanduser().absolute() if asked.venv else None
    layout = Layout(folder or settings.state.engines / lock.name)
    refuse_others(layout.folder)
    return Target(lock, layout, base, uv, profile)


def _uv(asked: Asked) -> str | None:
    found = interpreters.uv()
    if asked.installer == "uv" and found is None:
        raise InstallRefused(f"there is no uv. Install it: {sys.executable} -m pip install uv")
    return None if asked.installer == "pip" else found


def _names_path(word: str | None) -> bool:
    return word is not None and interpreters.is_path(word)


def _path(word: str | None) -> str:
    assert word is not None
    return shutil.which(Path(word).expanduser()) or str(Path(word).expanduser().absolute())


def _profile(asked: Asked) -> Profile | None:
    if asked.profile and asked.engine:
        raise BadInput("--profile names the engine already: leave out the engine, or --profile")
    if asked.engine or asked.lock:
        return None
    profile = plan_profile.load(asked.profile or DEFAULT_PROFILE)
    if profile.engine == LLAMA_CPP:
        raise BadInput(
            f"{profile.name} needs no environment of its own: {extras.command('embedded')}"
        )
    return profile


def _lock(
    asked: Asked, profile: Profile | None, python: str | None, environ: Mapping[str, str]
) -> tuple[Lock, Interpreter | None]:
    """The lock, and a Python for it. Without --python: for the newest version of the engine, the
    newest Python that is on this machine."""
    if asked.lock:
        lock = _own_lock(asked)
        return lock, interpreters.find(lock.python, environ)
    engine, _, version = (asked.engine or (profile.engine if profile else "")).partition("==")
    best = lock_file.find(engine, version or None, python)
    if python is not None:
        return best, interpreters.find(best.python, environ)
    for lock in lock_file.known():
        if (lock.engine, lock.version, lock.variant) == (best.engine, best.version, best.variant):
            found = interpreters.find(lock.python, environ)
            if found is not None:
                return lock, found
    return best, None


def _own_lock(asked: Asked) -> Lock:
    if asked.engine or asked.profile:
        raise BadInput("--lock names the engine already: leave out the engine and --profile")
    path = Path(asked.lock or "").expanduser().absolute()
    try:
        lock = lock_file.read(path)
    except OSError as error:
        raise BadInput(f"--lock {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise BadInput(f"--lock {error}") from None
    if asked.python and not _names_path(asked.python) and asked.python != lock.python:
        raise BadInput(f"--lock {path} is for Python {lock.python}, not {asked.python}")
    return lock
