"""Which engine an interpreter has, without running it."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
from pathlib import Path

ENGINES = ("sglang-kt", "sglang")
"""The fork first: it installs a package `sglang` too."""


def absolute(python: str) -> str:
    """The interpreter's absolute path, which a service needs; unchanged when it is not found."""
    found = shutil.which(python)
    return str(Path(found).absolute()) if found else python


def engine_of(python: str) -> tuple[str, str] | None:
    """Engine and version in the site-packages of an interpreter; None when there is none."""
    prefix = Path(absolute(python)).parent.parent
    folders = [str(one) for one in prefix.glob("lib*/python3*/site-packages")]
    versions = {
        (one.metadata["Name"] or "").lower().replace("_", "-"): one.version
        for one in importlib.metadata.distributions(path=folders)
    }
    return next(((name, versions[name]) for name in ENGINES if name in versions), None)


def default() -> str:
    """This interpreter if it has an engine, else `python3` from PATH."""
    return sys.executable if engine_of(sys.executable) else absolute("python3")
