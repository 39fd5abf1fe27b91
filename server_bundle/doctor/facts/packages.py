"""What is installed in the server's interpreter, which may be another one than this process's.

It runs one process that reads package metadata. It imports nothing of the server, so it is fast and
needs no GPU.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jobs import parsing
from server_bundle.doctor.facts.machine import Machine

SCRIPT = """\
import json, platform
from importlib import metadata
found = {}
for one in metadata.distributions():
    name = one.metadata["Name"]
    if name:
        found.setdefault(name.lower().replace("_", "-").replace(".", "-"), one.version)
print(json.dumps({"version": platform.python_version(), "packages": found}))
"""


@dataclass(frozen=True)
class Inside:
    """An interpreter's version and packages. `trouble` says why they could not be read."""

    version: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    """Normalised name -> version."""
    trouble: str = ""


def query(machine: Machine, python: str) -> Inside:
    """Run an interpreter to read its version and packages."""
    answer = machine.run([python, "-W", "ignore", "-c", SCRIPT])
    if answer is None:
        return Inside(trouble="no such program")
    if answer.status != 0:
        return Inside(trouble=answer.words)
    try:
        told = parsing.of_json(answer.out.strip().splitlines()[-1])
        return Inside(str(told["version"]), dict(told["packages"]))
    except (ValueError, KeyError, IndexError, TypeError):
        return Inside(trouble=f"it is not a Python interpreter: {answer.words}")
