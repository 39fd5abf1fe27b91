"""The Python with which an environment is made: found on this machine, or fetched by uv."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs import child_environment, parsing
from server_bundle.errors import InstallFailed, InstallRefused

_SECONDS = 60.0
_FACTS = """\
import importlib.util as u, json, os, platform, sys, sysconfig
print(json.dumps({
    "path": getattr(sys, "_base_executable", None) or sys.executable,
    "version": platform.python_version(), "implementation": platform.python_implementation(),
    "machine": platform.machine(), "libc": list(platform.libc_ver()),
    "makes_environments": all(u.find_spec(n) is not None for n in ("venv", "ensurepip")),
    "header": os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that runs."""

    path: str
    """Its own: not that of a virtual environment, or of a script that starts it (pyenv)."""
    version: str
    """As "3.12.4"."""
    machine: str
    libc: tuple[str, str]
    """Name and version: ("glibc", "2.36"); empty where it is unknown (musl)."""
    makes_environments: bool
    """Whether it has the modules venv and ensurepip."""
    has_header: bool
    """Whether Python.h is there, with which Triton compiles."""

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


def uv() -> str | None:
    """The program uv: from PATH, else of the package `uv` beside this Python; None without it."""
    if found := shutil.which("uv"):
        return found
    beside = Path(sys.executable).with_name("uv")
    if beside.exists():
        return str(beside)
    try:
        from uv import find_uv_bin  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None
    try:
        return str(find_uv_bin())
    except FileNotFoundError:
        return None


def find(wanted: str, environ: Mapping[str, str]) -> Interpreter | None:
    """The first Python of this minor version ("3.12") on this machine; None without one."""
    seen: set[str] = set()
    for path in _candidates(wanted, environ):
        real = os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            found = look(path)
            if found is not None and found.minor == wanted:
                return found
    return None


def named(path: str) -> Interpreter:
    """The Python at a path. Raises `InstallRefused`."""
    found = look(path) if os.path.exists(path) else None
    if found is None:
        raise InstallRefused(f"--python {path}: this is no Python that runs")
    return found


def is_path(word: str) -> bool:
    """Whether --python names a file, not a version."""
    return not re.fullmatch(r"\d+(\.\d+)*", word)


def fetch(wanted: str, program: str) -> Interpreter:
    """Have uv fetch a Python of this version, and return it. Raises `InstallFailed`."""
    done = _run([program, "python", "install", "--no-config", wanted])
    found = _by_uv(wanted, program)
    if found is None:
        said = done.stderr.strip().splitlines() if done else []
        raise InstallFailed(
            f"uv could not fetch Python {wanted}: {said[-1] if said else 'no answer'}. Install "
            f"Python {wanted} another way, and name it: --python /path/to/python{wanted}"
        )
    return found


def look(path: str) -> Interpreter | None:
    """What a Python says of itself; None if it does not run."""
    done = _run([path, "-I", "-c", _FACTS])
    if done is None or done.returncode != 0:
        return None
    try:
        told = parsing.of_json(done.stdout)
        name, version = told["libc"]
        if told["implementation"] != "CPython":
            return None
        return Interpreter(
            path=str(told["path"]),
            version=str(told["version"]),
            machine=str(told["machine"]),
            libc=(str(name), str(version)),
            makes_environments=bool(told["makes_environments"]),
            has_header=bool(told["header"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _candidates(wanted: str, environ: Mapping[str, str]) -> Iterator[str]:
    """On PATH, this one's own, pyenv's, and those of uv."""
    for name in (f"python{wanted}", "python3"):
        if found := shutil.which(name):
            yield found
    yield getattr(sys, "_base_executable", "") or sys.executable
    root = environ.get("PYENV_ROOT") or Path(environ.get("HOME") or "/nonexistent", ".pyenv")
    for one in sorted(Path(root).glob(f"versions/{wanted}.*/bin/python{wanted}"), reverse=True):
        yield str(one)
    if (program := uv()) is not None and (found_by_uv := _by_uv(wanted, program)) is not None:
        yield found_by_uv.path


def _by_uv(wanted: str, program: str) -> Interpreter | None:
    done = _run([program, "python", "find", "--no-config", "--no-python-downloads", wanted])
    path = done.stdout.strip() if done and done.returncode == 0 else ""
    return look(path) if path else None


def _run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command,
            env=child_environment.inherited(),
            cwd="/",  # a project's own settings in the current folder are not for this
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=None if "install" in command else _SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
