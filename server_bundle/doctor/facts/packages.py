"""What is installed in the server's interpreter, which may be another one than this process's.

It runs one process that reads package metadata and the sizes of files (inside/installed.py). It
imports nothing of the server, so it is fast and needs no GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs import parsing
from server_bundle.doctor.facts import inside_script
from server_bundle.doctor.facts.machine import Machine

_SCRIPT = "installed"
_EACH = 20
"""The most damaged packages that are read."""


@dataclass(frozen=True)
class Damaged:
    """A package whose files are not what its RECORD says."""

    package: str
    missing: int
    """How many of its files are not there."""
    changed: int
    """How many have another size, or another content than its own."""
    files: int
    """How many it has."""
    examples: tuple[str, ...]
    """Some of those files, relative to site-packages."""
    others: tuple[str, ...]
    """Installed packages that own some of those files too."""


@dataclass(frozen=True)
class Kernels:
    """The compiled kernels of the import package sgl_kernel."""

    built: tuple[str, ...]
    """`sm90`, `sm100`: as files of the package."""
    parts: int
    """From how many packages it joins its kernels for sm100 at its first import; 0: from none."""
    absent: tuple[str, ...]
    """The parts that are not there: import names such as `ktransformers_sgl_kernel_payload`."""


@dataclass(frozen=True)
class Inside:
    """An interpreter's version and packages. `trouble` says why they could not be read."""

    version: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    """Normalised name -> version."""
    trouble: str = ""
    damaged: tuple[Damaged, ...] = ()
    kernels: Kernels | None = None
    """None without a package sgl_kernel."""


def query(machine: Machine, python: str) -> Inside:
    """Run an interpreter to read its version and packages."""
    answer = machine.run([python, "-W", "ignore", "-c", inside_script.text(_SCRIPT)])
    if answer is None:
        return Inside(trouble="no such program")
    if answer.status != 0:
        return Inside(trouble=answer.words)
    try:
        told = parsing.of_json(answer.out.strip().splitlines()[-1])
        return Inside(
            str(told["version"]),
            dict(told["packages"]),
            damaged=tuple(_damaged(one) for one in told.get("damaged", ())[:_EACH]),
            kernels=_kernels(told.get("kernels")),
        )
    except (ValueError, KeyError, IndexError, TypeError):
        return Inside(trouble=f"it is not a Python interpreter: {answer.words}")


def _damaged(told: Mapping[str, Any]) -> Damaged:
    return Damaged(
        str(told["package"]),
        int(told["missing"]),
        int(told["changed"]),
        int(told["of"]),
        tuple(str(one) for one in told["examples"]),
        tuple(str(one) for one in told["others"]),
    )


def _kernels(told: Mapping[str, Any] | None) -> Kernels | None:
    if told is None:
        return None
    built, absent = (tuple(str(one) for one in told[name]) for name in ("built", "absent"))
    return Kernels(built, int(told["parts"]), absent)
